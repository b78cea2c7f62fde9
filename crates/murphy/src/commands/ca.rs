//! `murphy ca`: the local authority, and what to do so that clients trust it.

use murphy_runner::StateDir;
use murphy_tls::Authority;
use serde_json::json;

use super::answer::answer;
use super::{fail, print};
use crate::args::CaArgs;
use crate::exit::Exit;

/// Makes it if it is missing, and says where it is.
pub fn run(args: &CaArgs) -> Exit {
    let state = match StateDir::from_environment() {
        Ok(state) => state,
        Err(error) => return fail(Exit::Failed, &error),
    };
    let authority = match Authority::of_state(state.path()) {
        Ok(authority) => authority,
        Err(error) => return fail(Exit::Failed, &error),
    };
    let path = authority.certificate().display();
    if args.path {
        print(&format!("{path}\n"));
        return Exit::Graceful;
    }
    answer(args.answer.output, &json!({ "certificate": path.to_string() }), || {
        format!(
            "certificate  {path}\n\
             one client   curl --cacert {path} https://...\n\
             \x20            SSL_CERT_FILE={path} for OpenSSL and Go, REQUESTS_CA_BUNDLE for Python's requests,\n\
             \x20            NODE_EXTRA_CA_CERTS for Node.js\n\
             all clients  sudo cp {path} /usr/local/share/ca-certificates/murphy-ca.crt && sudo update-ca-certificates\n\
             Its key stays beside it, for you alone: whoever has it can pretend to be any host to those who trust it.\n"
        )
    })
}
