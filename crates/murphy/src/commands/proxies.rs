//! `murphy proxies`: the proxies of a running daemon, through its native API.

use std::path::Path;

use murphy_control::{HistoryDoc, NewProxy, ProxyDoc, ProxyPatch, TrafficDoc};
use murphy_core::{Offset, Protocol, Span};
use murphy_tls::TlsSettings;
use murphy_tui::Record;
use serde_json::json;

use super::answer::shown;
use super::daemon::{proxies, watch, with_daemon};
use super::{fail, note, print};
use crate::exit::Exit;
use crate::native_args::{ProxiesArgs, ProxiesCommand};
use crate::output_args::OutputChoice;
use crate::table::columns;

/// Does one thing and prints what there is afterwards.
pub fn run(args: &ProxiesArgs) -> Exit {
    let output = args.api.output;
    with_daemon(&args.api, async |client| {
        match &args.command {
            None => print(&list(&proxies(client, None).await?, output)),
            Some(ProxiesCommand::List { proxy, watch: true }) => {
                return watch(client, proxy.as_deref(), output, |proxies| list(proxies, output)).await;
            }
            Some(ProxiesCommand::List { proxy, watch: false }) => {
                print(&list(&proxies(client, proxy.as_deref()).await?, output));
            }
            Some(ProxiesCommand::Add { proxy, upstream, listen, http, tls, off }) => {
                let order = NewProxy {
                    name: proxy.clone(),
                    listen: listen.clone(),
                    upstream: upstream.clone(),
                    protocol: if *http { Protocol::Http } else { Protocol::Tcp },
                    tls: tls.map(|tls| TlsSettings::of(tls.mode())),
                    enabled: !off,
                };
                tell(output, &client.add_proxy(&order).await?);
            }
            Some(ProxiesCommand::Edit { proxy, listen, upstream }) => {
                let patch = ProxyPatch { listen: listen.clone(), upstream: upstream.clone(), enabled: None };
                tell(output, &client.change_proxy(proxy, &patch).await?);
            }
            Some(ProxiesCommand::Toggle { proxy }) => {
                let enabled = Some(!client.proxy(proxy).await?.enabled);
                let patch = ProxyPatch { listen: None, upstream: None, enabled };
                tell(output, &client.change_proxy(proxy, &patch).await?);
            }
            Some(ProxiesCommand::Remove { proxy }) => {
                for proxy in proxy {
                    client.remove_proxy(proxy).await?;
                    print(&shown(output, &json!({ "removed": proxy }), || format!("{proxy} is gone\n")));
                }
            }
            Some(ProxiesCommand::Save { file, last }) => {
                return Ok(save(&client.history().await?, file, *last, output));
            }
        }
        Ok(Exit::Graceful)
    })
}

/// Writes what was done as a scenario, never over a file that is there, and says what is not in it.
fn save(history: &HistoryDoc, file: &Path, last: Option<Span>, output: OutputChoice) -> Exit {
    let now = Offset::from_micros(history.now.as_micros());
    let since = last.map_or(Span::ZERO, |last| now.since(Offset::ZERO + last));
    let record = Record::of_history(history, since);
    if let Err(error) = record.save(file, now) {
        return fail(Exit::Failed, &error);
    }
    let left_out = record.left_out();
    left_out.iter().for_each(|what| note(&format_args!("not recorded: {what}")));
    let file = file.display().to_string();
    print(&shown(output, &json!({ "saved": file, "left-out": left_out }), || {
        format!("saved: {file}; try it with: murphy check {file}\n")
    }));
    Exit::Graceful
}

fn list(proxies: &[ProxyDoc], output: OutputChoice) -> String {
    shown(output, &proxies, || table(proxies))
}

fn tell(output: OutputChoice, proxy: &ProxyDoc) {
    print(&shown(output, proxy, || sentence(proxy)));
}

fn sentence(proxy: &ProxyDoc) -> String {
    let ProxyDoc { name, listen, upstream, .. } = proxy;
    match proxy.enabled {
        true => format!("{name} listens on {listen}, dials {upstream}\n"),
        false => format!("{name} is off: callers of {listen} are refused\n"),
    }
}

fn table(proxies: &[ProxyDoc]) -> String {
    if proxies.is_empty() {
        return "no proxies; make one with `murphy proxies add NAME UPSTREAM`\n".to_owned();
    }
    let rows = proxies.iter().map(|proxy| {
        let protocol = match proxy.protocol {
            Protocol::Http => "http",
            _ => "tcp",
        };
        let count = |of: fn(&TrafficDoc) -> u64| {
            proxy.traffic.as_ref().map_or("-".to_owned(), |traffic| of(traffic).to_string())
        };
        let faults: Vec<String> = proxy
            .faults
            .iter()
            .map(|fault| fault.text.clone())
            .chain(proxy.toxics.iter().map(|toxic| format!("toxic {toxic}")))
            .collect();
        [
            proxy.name.clone(),
            proxy.listen.clone(),
            proxy.upstream.clone(),
            protocol.to_owned(),
            if proxy.enabled { "on" } else { "off" }.to_owned(),
            count(|traffic| traffic.accepted),
            count(|traffic| traffic.open),
            if faults.is_empty() { "none".to_owned() } else { faults.join(", ") },
        ]
    });
    columns(["proxy", "listen", "upstream", "protocol", "state", "accepted", "open", "faults"], rows)
}
