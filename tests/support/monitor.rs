//! `MONITOR`: what clients send to a private Redis, as Redis itself sees it.
//!
//! Owns one monitoring connection. Must never be used to time anything: it slows Redis down.

use redis::Connection;

use super::ports::random;
use super::redis::PrivateRedis;

/// What clients send to a [`PrivateRedis`], as Redis itself sees it (`MONITOR`).
pub struct Monitor {
    stream: Connection,
    marker: String,
    redis_url: String,
}

impl Monitor {
    /// Starts watching; nothing before this is seen.
    pub fn start(server: &PrivateRedis) -> Self {
        let mut stream = server.connect().expect("a connection");
        stream.send_packed_command(&redis::cmd("MONITOR").get_packed_command()).expect("MONITOR is sent");
        stream.recv_response().expect("MONITOR is accepted");
        Self { stream, marker: format!("seen-{:x}", random()), redis_url: server.url() }
    }

    /// Every command since the start (or since the last call), in order: `"GETEX" "session:…"`. What a script
    /// calls is marked `lua`.
    pub fn commands(&mut self) -> Vec<String> {
        self.mark();
        let mut commands = Vec::new();
        loop {
            let line: String = redis::from_redis_value(self.stream.recv_response().expect("MONITOR goes on"))
                .expect("MONITOR speaks in lines");
            let (client, command) = split_line(&line);
            if command.contains(&self.marker) {
                return commands;
            }
            // The marker's own connection introduces itself first.
            if !command.starts_with("\"CLIENT\"") && !command.starts_with("\"HELLO\"") {
                let origin = if client.ends_with("lua") { "lua " } else { "" };
                commands.push(format!("{origin}{command}"));
            }
        }
    }

    fn mark(&self) {
        let client = redis::Client::open(self.redis_url.as_str()).expect("a good URL");
        let mut connection = client.get_connection().expect("a connection");
        redis::cmd("ECHO").arg(&self.marker).exec(&mut connection).expect("the marker is sent");
    }
}

/// `1700000000.1 [0 127.0.0.1:5] "GETEX" "key"` into what is inside the brackets and what comes after.
fn split_line(line: &str) -> (&str, &str) {
    let (head, command) = line.split_once("] ").unwrap_or(("", line));
    (head, command)
}
