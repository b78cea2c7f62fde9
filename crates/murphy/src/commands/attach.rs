//! `murphy attach --from SERVICE --to HOST:PORT`: sits in by hand on the calls of containers that run, with faults as flags
//! and keys.

use murphy_adhoc::{Attach, Consent, FromWhom, Route, Wish, rehearse, savable};
use murphy_docker::Pick;

use super::sitting::{Show, exit_of, seat_of, sit_down};
use super::{base, fail, runtime};
use crate::exit::Exit;
use crate::proxy_args::AttachArgs;

/// Sits in until the time is over or a signal comes, and takes everything back.
pub fn run(args: &AttachArgs) -> Exit {
    let wish =
        Wish { selector: args.from.clone(), exclude: args.exclude.clone(), pick: args.pick, max: None };
    let from = match FromWhom::read(&wish) {
        Ok(from) => from,
        Err(error) => return fail(Exit::Usage, &format_args!("--from: {error}")),
    };
    if args.sitting.save.is_some() {
        if args.pick != Pick::All || !args.exclude.is_empty() {
            let why = "--save: a scenario sits in on all of them; leave --pick and --exclude out, or name one container";
            return fail(Exit::Usage, &why);
        }
        if let Err(error) = savable(from.text()) {
            return fail(Exit::Usage, &error);
        }
    }
    let base = match base() {
        Ok(base) => base,
        Err(exit) => return exit,
    };
    let state = base.state.clone();
    let attach = Attach {
        from,
        to: args.to.clone(),
        open: args.open_connections.connections(),
        consent: if args.yes { Consent::Given } else { Consent::NotGiven },
        base,
    };
    let seat = match seat_of(&args.sitting, Route::Attach(Box::new(attach)), state) {
        Ok(seat) => seat,
        Err(exit) => return exit,
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    if args.dry_run {
        let show = Show::plain(args.sitting.output);
        return match runtime.block_on(rehearse(&seat, &mut |told| show.tell(&told))) {
            Ok(()) => Exit::Graceful,
            Err(error) => exit_of(&error, None),
        };
    }
    runtime.block_on(sit_down(&args.sitting, &seat))
}
