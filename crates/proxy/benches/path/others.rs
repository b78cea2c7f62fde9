//! Other people's proxies, as Debian packages them, with stock buffers: nginx and HAProxy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::Kind;

/// How one is started, and where it will listen.
pub struct Invocation {
    pub command: Command,
    pub address: String,
    pub config: tempfile::TempDir,
}

/// `None` for what is a role of this program.
pub fn invocation(kind: Kind, upstream: &str) -> Option<Invocation> {
    if !matches!(kind, Kind::Nginx | Kind::NginxStream | Kind::HaProxy | Kind::HaProxyHttp) {
        return None;
    }
    let address = free_address();
    let config = tempfile::tempdir().expect("a directory");
    let file = config.path().join("conf");
    let (text, command) = match kind {
        Kind::Nginx => (nginx_http(config.path(), &address, upstream), nginx(&file)),
        Kind::NginxStream => (nginx_stream(config.path(), &address, upstream), nginx(&file)),
        Kind::HaProxy => (haproxy("tcp", &address, upstream), haproxy_command(&file)),
        Kind::HaProxyHttp => (haproxy("http", &address, upstream), haproxy_command(&file)),
        _ => return None,
    };
    fs::write(&file, text).expect("a file");
    Some(Invocation { command, address, config })
}

fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

fn nginx(file: &Path) -> Command {
    let mut command = Command::new("nginx");
    command.args(["-e", "/dev/null", "-c"]).arg(file);
    command
}

/// One process, so that what a request costs is told by that alone.
fn nginx_http(at: &Path, address: &str, upstream: &str) -> String {
    let at = at.display();
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {at}/{kind};"))
        .concat();
    format!(
        "daemon off; master_process off; pid {at}/pid; error_log /dev/null; events {{ worker_connections 4096; }}
         http {{ access_log off; {temp} keepalive_requests 100000000;
           upstream shop {{ server {upstream}; keepalive 64; keepalive_requests 100000000; }}
           server {{ listen {address}; location / {{ proxy_pass http://shop; proxy_http_version 1.1;
             proxy_set_header Connection \"\"; }} }} }}"
    )
}

/// Where packages put the module; `NGINX_MODULES` names another directory.
fn stream_module() -> Option<PathBuf> {
    let given = std::env::var_os("NGINX_MODULES").map(PathBuf::from);
    given
        .into_iter()
        .chain(["/usr/lib/nginx/modules", "/usr/share/nginx/modules"].map(PathBuf::from))
        .map(|directory| directory.join("ngx_stream_module.so"))
        .find(|module| module.is_file())
}

/// A worker for each processor. Without the module it starts only if the module is built in.
fn nginx_stream(at: &Path, address: &str, upstream: &str) -> String {
    let at = at.display();
    let load = stream_module().map(|module| format!("load_module {};", module.display())).unwrap_or_default();
    // As root it would become another user, who need not exist in a namespace.
    let user = if nix::unistd::geteuid().is_root() { "user root;" } else { "" };
    format!(
        "{load} {user} daemon off; worker_processes auto; pid {at}/pid; error_log /dev/null;
         events {{ worker_connections 40000; }}
         stream {{ server {{ listen {address} backlog=4096; proxy_pass {upstream}; }} }}"
    )
}

fn haproxy_command(file: &Path) -> Command {
    let mut command = Command::new("haproxy");
    command.args(["-db", "-q", "-f"]).arg(file);
    command
}

/// A thread for each processor, which is its default, and connections that are kept on both sides, as is also.
fn haproxy(mode: &str, address: &str, upstream: &str) -> String {
    format!(
        "defaults\n mode {mode}\n timeout connect 5s\n timeout client 1h\n timeout server 1h\n\
         listen bench\n bind {address} backlog 4096\n server shop {upstream}\n"
    )
}
