//! `murphy proxy LISTEN UPSTREAM`: one proxy by hand, with faults as flags and keys.

use murphy_adhoc::Route;
use murphy_runner::StateDir;

use super::sitting::{seat_of, sit_down};
use super::{fail, runtime};
use crate::exit::Exit;
use crate::proxy_args::ProxyArgs;

/// Sits between callers and their dependency until the time is over or a signal comes.
pub fn run(args: &ProxyArgs) -> Exit {
    let state = match StateDir::from_environment() {
        Ok(state) => state,
        Err(error) => return fail(Exit::Failed, &error),
    };
    let route = Route::Listen { listen: args.listen.clone(), upstream: args.upstream.clone() };
    let seat = match seat_of(&args.sitting, route, state) {
        Ok(seat) => seat,
        Err(exit) => return exit,
    };
    match runtime() {
        Ok(runtime) => runtime.block_on(sit_down(&args.sitting, &seat)),
        Err(exit) => exit,
    }
}
