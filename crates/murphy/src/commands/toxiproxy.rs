//! `murphy toxiproxy`: the commands of toxiproxy-cli on a running daemon. Tabs between fields when standard output is not
//! a terminal, columns when it is; with `--output json` what the API told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal as _;

use murphy_control::{Client, ClientError, ProxyView, ToxicOrder, ToxicSettings, ToxicView};
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::shown;
use super::daemon::client;
use super::{fail, print, runtime};
use crate::daemon_args::{ToxicCommand, ToxicSettingsArgs, ToxiproxyArgs, ToxiproxyCommand};
use crate::exit::Exit;
use crate::output_args::OutputChoice;
use crate::table::columns;

/// A proxy in the words of the API.
#[derive(Debug, Serialize)]
struct ProxyTold<'a> {
    name: &'a str,
    listen: &'a str,
    upstream: &'a str,
    enabled: bool,
    toxics: Vec<ToxicTold<'a>>,
}

/// A toxic in the words of the API.
#[derive(Debug, Serialize)]
struct ToxicTold<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    stream: &'a str,
    toxicity: f32,
    attributes: BTreeMap<&'a str, Value>,
}

impl<'a> ProxyTold<'a> {
    fn of(proxy: &'a ProxyView) -> ProxyTold<'a> {
        let ProxyView { name, listen, upstream, enabled, toxics } = proxy;
        let toxics = toxics.iter().map(ToxicTold::of).collect();
        ProxyTold { name, listen, upstream, enabled: *enabled, toxics }
    }
}

impl<'a> ToxicTold<'a> {
    fn of(toxic: &'a ToxicView) -> ToxicTold<'a> {
        let ToxicView { name, kind, stream, toxicity, attributes } = toxic;
        let number = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        let attributes = attributes.iter().map(|(name, text)| (name.as_str(), number(text))).collect();
        ToxicTold { name, kind, stream, toxicity: *toxicity, attributes }
    }
}

/// Does one thing and prints what was done.
pub fn run(args: &ToxiproxyArgs) -> Exit {
    let client = match client(&args.host, args.token.as_deref()) {
        Ok(client) => client,
        Err(exit) => return exit,
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    match runtime.block_on(act(&client, &args.command, args.output)) {
        Ok(text) => {
            print(&text);
            Exit::Graceful
        }
        Err(error @ ClientError::Unreachable { .. }) => {
            fail(Exit::Failed, &format_args!("{error}, or give another address with --host"))
        }
        Err(error) => fail(Exit::Failed, &error),
    }
}

async fn act(
    client: &Client,
    command: &ToxiproxyCommand,
    output: OutputChoice,
) -> Result<String, ClientError> {
    let terminal = std::io::stdout().is_terminal();
    Ok(match command {
        ToxiproxyCommand::List => {
            let proxies = client.list().await?;
            let told: Vec<ProxyTold<'_>> = proxies.iter().map(ProxyTold::of).collect();
            shown(output, &told, || match terminal {
                true => table(&proxies),
                false => proxies.iter().map(proxy_line).collect(),
            })
        }
        ToxiproxyCommand::Inspect { proxy } => {
            let proxy = client.show(proxy).await?;
            let lines: String = proxy.toxics.iter().map(toxic_line).collect();
            shown(output, &ProxyTold::of(&proxy), || match terminal {
                true if lines.is_empty() => table(std::slice::from_ref(&proxy)) + "no toxics\n",
                true => table(std::slice::from_ref(&proxy)) + &lines,
                false => lines,
            })
        }
        ToxiproxyCommand::Create { proxy, listen, upstream } => {
            let made = client.create(proxy, listen, upstream).await?;
            shown(output, &ProxyTold::of(&made), || format!("Created new proxy {}\n", made.name))
        }
        ToxiproxyCommand::Toggle { proxy } => {
            let enabled = !client.show(proxy).await?.enabled;
            client.set_enabled(proxy, enabled).await?;
            let told = json!({ "name": proxy, "enabled": enabled });
            shown(output, &told, || format!("Proxy {proxy} is now {}\n", state(enabled)))
        }
        ToxiproxyCommand::Delete { proxy } => {
            client.delete(proxy).await?;
            shown(output, &json!({ "removed": proxy }), || format!("Deleted proxy {proxy}\n"))
        }
        ToxiproxyCommand::Toxic(command) => toxic(client, command, output).await?,
    })
}

async fn toxic(client: &Client, command: &ToxicCommand, output: OutputChoice) -> Result<String, ClientError> {
    Ok(match command {
        ToxicCommand::Add { proxy, kind, name, settings, upstream, .. } => {
            let order = ToxicOrder {
                name: name.clone(),
                kind: kind.clone(),
                stream: if *upstream { "upstream" } else { "downstream" },
                settings: given(settings),
            };
            let made = client.add_toxic(proxy, &order).await?;
            shown(output, &ToxicTold::of(&made), || {
                format!("Added {} {} toxic '{}' on proxy '{proxy}'\n", made.stream, made.kind, made.name)
            })
        }
        ToxicCommand::Update { proxy, name, settings } => {
            let edited = client.edit_toxic(proxy, name, &given(settings)).await?;
            shown(output, &ToxicTold::of(&edited), || format!("Updated toxic '{name}' on proxy '{proxy}'\n"))
        }
        ToxicCommand::Remove { proxy, name } => {
            client.remove_toxic(proxy, name).await?;
            let told = json!({ "proxy": proxy, "removed": name });
            shown(output, &told, || format!("Removed toxic '{name}' on proxy '{proxy}'\n"))
        }
    })
}

fn given(args: &ToxicSettingsArgs) -> ToxicSettings {
    ToxicSettings { toxicity: args.toxicity, attributes: args.attribute.iter().cloned().collect() }
}

fn state(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

fn proxy_line(proxy: &ProxyView) -> String {
    let ProxyView { name, listen, upstream, enabled, toxics } = proxy;
    format!("{name}\t{listen}\t{upstream}\t{}\t{}\n", state(*enabled), toxics.len())
}

fn toxic_line(toxic: &ToxicView) -> String {
    let ToxicView { name, kind, stream, toxicity, attributes } = toxic;
    let mut line = format!("{name}\ttype={kind}\tstream={stream}\ttoxicity={toxicity:.2}\tattributes=[");
    for (name, number) in attributes {
        let _ = write!(line, "\t{name}={number}");
    }
    line + "\t]\n"
}

fn table(proxies: &[ProxyView]) -> String {
    let rows = proxies.iter().map(|proxy| {
        let (state, toxics) = (state(proxy.enabled).to_owned(), proxy.toxics.len().to_string());
        [proxy.name.clone(), proxy.listen.clone(), proxy.upstream.clone(), state, toxics]
    });
    columns(["name", "listen", "upstream", "state", "toxics"], rows)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn lines_are_those_of_toxiproxy_cli() {
        let toxic = ToxicView {
            name: "bw".into(),
            kind: "bandwidth".into(),
            stream: "upstream".into(),
            toxicity: 0.5,
            attributes: BTreeMap::from([("rate".into(), "10".into())]),
        };
        assert_eq!(
            toxic_line(&toxic),
            "bw\ttype=bandwidth\tstream=upstream\ttoxicity=0.50\tattributes=[\trate=10\t]\n"
        );
        let proxy = ProxyView {
            name: "redis".into(),
            listen: "127.0.0.1:26379".into(),
            upstream: "127.0.0.1:6379".into(),
            enabled: true,
            toxics: Vec::new(),
        };
        let told = serde_json::to_string(&ProxyTold::of(&ProxyView { toxics: vec![toxic], ..proxy.clone() }));
        assert_eq!(
            told.unwrap(),
            r#"{"name":"redis","listen":"127.0.0.1:26379","upstream":"127.0.0.1:6379","enabled":true,"toxics":[{"name":"bw","type":"bandwidth","stream":"upstream","toxicity":0.5,"attributes":{"rate":10}}]}"#
        );
        assert_eq!(proxy_line(&proxy), "redis\t127.0.0.1:26379\t127.0.0.1:6379\tenabled\t0\n");
        assert_eq!(
            table(&[proxy]),
            "name   listen           upstream        state    toxics\n\
             redis  127.0.0.1:26379  127.0.0.1:6379  enabled  0\n"
        );
    }
}
