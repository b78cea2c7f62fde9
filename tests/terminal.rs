//! A real terminal: tmux presses the keys and reads the screen.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::bench::Bench;

/// For whatever another process has to do: a machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal of 100 × 30 with a shell line in it. Gone when dropped.
#[derive(Debug)]
pub struct Terminal {
    socket: String,
}

impl Terminal {
    /// `None` without tmux, said out loud; in CI that is a failure.
    pub fn open(test: &str, bench: &Bench, line: &str) -> Option<Terminal> {
        if Command::new("tmux").arg("-V").output().is_err() {
            murphy_testkit::skip(format_args!("there is no tmux: {test}"));
            return None;
        }
        let terminal = Terminal { socket: format!("murphy-{}-{test}", std::process::id()) };
        let shell = format!("{line}; echo ended with $?; exec sleep 60");
        let state = format!("MURPHY_STATE_DIR={}", bench.path().join("state").display());
        let args = ["new-session", "-d", "-x", "100", "-y", "30", "-e", &state, "-c"];
        let here = bench.path().to_str().expect("a readable path");
        let out = terminal.tmux(&[&args[..], &[here, &shell]].concat());
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        Some(terminal)
    }

    fn tmux(&self, args: &[&str]) -> Output {
        Command::new("tmux").args(["-L", &self.socket]).args(args).output().expect("tmux")
    }

    /// Presses a key, by tmux's name for it.
    pub fn key(&self, name: &str) {
        self.tmux(&["send-keys", name]);
    }

    /// Types a text.
    pub fn typed(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// What is on it.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p"]).stdout).into_owned()
    }

    /// True while a program has its other screen, or hides the cursor.
    pub fn is_taken(&self) -> bool {
        let out = self.tmux(&["list-panes", "-F", "#{alternate_on} #{cursor_flag}"]);
        String::from_utf8_lossy(&out.stdout).trim() != "0 1"
    }

    /// Copies all that is written to it from now on, byte by byte, into a file.
    pub fn copied_to(&self, path: &Path) {
        let out = self.tmux(&["pipe-pane", &format!("cat >> '{}'", path.display())]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    /// Waits until a text is on it.
    #[track_caller]
    pub fn shows(&self, text: &str) {
        self.until(&format!("`{text}` on this screen"), |screen| screen.contains(text));
    }

    /// Waits until a text is not on it any more.
    #[track_caller]
    pub fn hides(&self, text: &str) {
        self.until(&format!("no `{text}` on this screen"), |screen| !screen.contains(text));
    }

    #[track_caller]
    fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        let mut screen = self.screen();
        while !is_so(&screen) {
            assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}:\n{screen}");
            std::thread::park_timeout(Duration::from_millis(10));
            screen = self.screen();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
