//! A real OpenID provider, as a process.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::Value;

use crate::Node;

/// The certified library `oidc-provider` on a free port of loopback. It ends when this is dropped: with
/// its input.
pub struct OpenIdProvider {
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    issuer: String,
}

impl OpenIdProvider {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start(node: &Node) -> Self {
        let mut command = node.script(include_str!("../../provider/server.mjs"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("node starts");
        let input = child.stdin.take();
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut provider =
            Self { child, input, lines: BufReader::new(stdout).lines(), issuer: String::new() };
        let ready: Value = serde_json::from_str(&provider.line()).expect("JSON");
        provider.issuer = ready["issuer"].as_str().expect("an issuer").to_owned();
        provider
    }

    /// Its issuer, which is its URL too.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Takes a step in the life of its keys: `announce`, `sign` or `withdraw`.
    ///
    /// # Panics
    ///
    /// When it does not take it.
    pub fn step(&mut self, step: &str) {
        let input = self.input.as_mut().expect("it has an input while it lives");
        writeln!(input, "{step}").expect("it reads");
        assert_eq!(self.line(), step);
    }

    fn line(&mut self) -> String {
        self.lines.next().and_then(Result::ok).expect("the provider runs")
    }
}

impl Drop for OpenIdProvider {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
