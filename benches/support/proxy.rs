//! A network between a server and its Redis that can stop: bytes wait, and go on later.
//!
//! Owns a port and threads of its own, so that it passes bytes while the benchmark waits. Must never lose or change a
//! byte.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use anyhow::{Context, Result};

/// A proxy in front of one address; its threads end with their connections.
pub struct Proxy {
    address: SocketAddr,
    gate: Arc<Gate>,
}

/// Whether bytes pass.
struct Gate {
    is_open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn set(&self, is_open: bool) {
        *self.is_open.lock().unwrap_or_else(PoisonError::into_inner) = is_open;
        self.changed.notify_all();
    }

    fn await_open(&self) {
        let is_open = self.is_open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(is_open, |is_open| !*is_open));
    }
}

impl Proxy {
    /// Starts one that leads to this Redis.
    pub fn start(redis: &str) -> Result<Self> {
        let target = redis.strip_prefix("redis://").context("no address")?.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let gate = Arc::new(Gate { is_open: Mutex::new(true), changed: Condvar::new() });
        let its = Arc::clone(&gate);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A client that cannot be served sees its connection closed.
                drop(join(client, &target, &its));
            }
        });
        Ok(Self { address, gate })
    }

    /// Its address, as that of a Redis.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Passes nothing from now on; new connections are accepted.
    pub fn stop(&self) {
        self.gate.set(false);
    }

    /// Passes everything again, first of all what waited.
    pub fn go_on(&self) {
        self.gate.set(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.go_on();
    }
}

fn join(client: TcpStream, target: &str, gate: &Arc<Gate>) -> std::io::Result<()> {
    let server = TcpStream::connect(target)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ways = [(client.try_clone()?, server.try_clone()?), (server, client)];
    for (from, to) in ways {
        let gate = Arc::clone(gate);
        std::thread::spawn(move || {
            // Either end may close at any time.
            drop(pass(&from, &to, &gate));
            drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
        });
    }
    Ok(())
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, gate: &Gate) -> std::io::Result<()> {
    let mut bytes = [0; 16_384];
    loop {
        let length = from.read(&mut bytes)?;
        let Some(read) = bytes.get(..length).filter(|read| !read.is_empty()) else { return Ok(()) };
        gate.await_open();
        to.write_all(read)?;
    }
}
