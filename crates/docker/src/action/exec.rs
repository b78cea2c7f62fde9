//! Runs a command in a container and waits for its end, bounded in time and in what is kept of its output.

use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use futures_util::StreamExt;
use murphy_core::{ContainerIdentity, Span};

use super::ActError;
use crate::engine::Engine;
use crate::error::EngineError;

/// How much of the end of the output is kept, in bytes.
const KEPT: usize = 4096;

impl Engine {
    /// Runs a command. What it wrote last, if it ended with 0.
    pub(super) async fn exec(
        &self,
        container: &ContainerIdentity,
        command: &[String],
        within: Span,
    ) -> Result<String, ActError> {
        let config = ExecConfig {
            cmd: Some(command.to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        };
        let made = self.call("create exec", self.docker().create_exec(&container.id, config)).await?;
        let started = self.call("start exec", self.docker().start_exec(&made.id, None)).await?;
        let StartExecResults::Attached { mut output, input: _input } = started else {
            let why = "the command was detached".to_owned();
            return Err(EngineError::Malformed { call: "start exec", why }.into());
        };
        let mut kept = Vec::new();
        let mut told = None;
        let drain = async {
            while let Some(chunk) = output.next().await {
                let chunk = chunk?;
                // The engine hands two streams over in any order: what one says must not run into a line of the other.
                let stream = std::mem::discriminant(&chunk);
                if told.replace(stream).is_some_and(|before| before != stream) && !kept.ends_with(b"\n") {
                    kept.push(b'\n');
                }
                kept.extend_from_slice(&chunk.into_bytes());
                if kept.len() > 2 * KEPT {
                    kept.drain(..kept.len() - KEPT);
                }
            }
            Ok::<(), bollard::errors::Error>(())
        };
        let spoken = || command.join(" ");
        match tokio::time::timeout(within.as_duration(), drain).await {
            Ok(ended) => ended.map_err(|raw| self.sort(raw, "exec"))?,
            Err(_) => {
                return Err(ActError::CommandTooLong {
                    container: container.clone(),
                    command: spoken(),
                    within,
                });
            }
        }
        let ended = self.call("inspect exec", self.docker().inspect_exec(&made.id)).await?;
        let output = String::from_utf8_lossy(&kept[kept.len().saturating_sub(KEPT)..]).trim_end().to_owned();
        match ended.exit_code.unwrap_or(-1) {
            0 => Ok(output),
            code => {
                Err(ActError::CommandFailed { container: container.clone(), command: spoken(), code, output })
            }
        }
    }
}
