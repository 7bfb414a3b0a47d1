//! Many requests: by wrk and h2load where they are installed, else by hyper.

use std::fmt;
use std::io::{Error, Result};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use axum::body::Body;
use http::Request;
use http::header::AUTHORIZATION;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// How long one load lasts.
const SECONDS: u64 = 1;
const CONNECTIONS: usize = 32;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        })
    }
}

pub(crate) struct Load {
    protocol: Protocol,
    authorization: String,
    has_tool: bool,
}

impl Load {
    /// `authorization` is the header's value.
    pub(crate) fn new(protocol: Protocol, authorization: &str) -> Self {
        let mut load = Self { protocol, authorization: authorization.to_owned(), has_tool: false };
        let mut asked = Command::new(load.tool());
        let asked = asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        load.has_tool = asked.is_ok();
        load
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    fn tool(&self) -> &'static str {
        match self.protocol {
            Protocol::Http1 => "wrk",
            Protocol::Http2 => "h2load",
        }
    }

    pub(crate) fn by(&self) -> &'static str {
        if self.has_tool { self.tool() } else { "hyper" }
    }

    /// Requests a second, and all of them. An answer other than 200 is an error.
    pub(crate) fn run(&self, server: SocketAddr) -> Result<(f64, f64)> {
        let uri = format!("http://{server}/orders");
        match (self.has_tool, self.protocol) {
            (false, _) => self.by_hyper(&uri),
            (true, Protocol::Http1) => self.by_wrk(&uri),
            (true, Protocol::Http2) => self.by_h2load(&uri),
        }
    }

    fn by_wrk(&self, uri: &str) -> Result<(f64, f64)> {
        let duration = format!("-d{SECONDS}s");
        let said = self.said(&["-t1", &format!("-c{CONNECTIONS}"), &duration, uri])?;
        if said.contains("Non-2xx") || said.contains("Socket errors") {
            return Err(Error::other(said));
        }
        // "  123456 requests in 1.10s, 16.1MB read", "Requests/sec: 112233.44"
        let total = said.lines().find(|line| line.contains(" requests in "));
        let total = total.and_then(|line| line.trim().split(' ').next());
        let rate = said.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
        numbers(rate, total).ok_or_else(|| Error::other(said))
    }

    fn by_h2load(&self, uri: &str) -> Result<(f64, f64)> {
        let duration = SECONDS.to_string();
        let said = self.said(&["-t1", "-c4", "-m16", "-D", &duration, uri])?;
        // "finished in 1.00s, 112233.44 req/s, 16.1MB/s",
        // "status codes: 123456 2xx, 0 3xx, 0 4xx, 0 5xx"
        let rate = said.lines().find_map(|line| line.strip_prefix("finished in "));
        let rate = rate.and_then(|line| line.split(", ").nth(1)?.strip_suffix(" req/s"));
        let codes = said.lines().find_map(|line| line.strip_prefix("status codes: "));
        let total = codes.and_then(|line| line.strip_suffix(" 2xx, 0 3xx, 0 4xx, 0 5xx"));
        numbers(rate, total).ok_or_else(|| Error::other(said.clone()))
    }

    fn said(&self, arguments: &[&str]) -> Result<String> {
        let header = format!("authorization: {}", self.authorization);
        let mut command = Command::new(self.tool());
        let output = command.args(["-H", &header]).args(arguments).output()?;
        String::from_utf8(output.stdout).map_err(Error::other)
    }

    /// One client in this thread, which costs more of the machine than the tools do.
    fn by_hyper(&self, uri: &str) -> Result<(f64, f64)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut builder = Client::builder(TokioExecutor::new());
        let client = builder.http2_only(self.protocol == Protocol::Http2).build_http();
        let start = Instant::now();
        let mut total = 0.0;
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..CONNECTIONS {
                let (client, uri) = (client.clone(), uri.to_owned());
                let authorization = self.authorization.clone();
                tasks.spawn(async move {
                    let mut done = 0.0;
                    while start.elapsed() < Duration::from_secs(SECONDS) {
                        let request = Request::get(&uri).header(AUTHORIZATION, &authorization);
                        let request = request.body(Body::empty()).map_err(Error::other)?;
                        let response = client.request(request).await.map_err(Error::other)?;
                        if !response.status().is_success() {
                            return Err(Error::other(response.status().to_string()));
                        }
                        response.into_body().collect().await.map_err(Error::other)?;
                        done += 1.0;
                    }
                    Ok(done)
                });
            }
            while let Some(done) = tasks.join_next().await {
                total += done.map_err(Error::other)??;
            }
            Ok((total / start.elapsed().as_secs_f64(), total))
        })
    }
}

fn numbers(rate: Option<&str>, total: Option<&str>) -> Option<(f64, f64)> {
    Some((rate?.trim().parse().ok()?, total?.trim().parse().ok()?))
}
