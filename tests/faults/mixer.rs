//! A proxy that sends each command to the next of several Redis servers, and answers as if there were one.
//!
//! Owns its port and its threads, which end with the test's process. Must never change a command or an answer.
#![cfg(feature = "postgres")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::support::ports::free_port;

/// Starts one; gives where it listens.
pub fn mixing(servers: &[SocketAddr]) -> SocketAddr {
    let listener = (0..5).find_map(|_| TcpListener::bind(("127.0.0.1", free_port())).ok()).expect("a free port");
    let address = listener.local_addr().expect("its address");
    let servers = servers.to_vec();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let servers = servers.clone();
            std::thread::spawn(move || serve(client, &servers));
        }
    });
    address
}

/// One client, until it or a server goes.
fn serve(mut client: TcpStream, servers: &[SocketAddr]) -> Option<()> {
    let servers: Option<Vec<_>> = servers.iter().map(|address| TcpStream::connect(address).ok()).collect();
    let mut servers = servers?;
    let (mut waiting, mut turn) = (Vec::new(), 0);
    loop {
        let command = one(&mut client, &mut waiting)?;
        let next = turn % servers.len();
        let server = &mut servers[next];
        server.write_all(&command).ok()?;
        client.write_all(&one(server, &mut Vec::new())?).ok()?;
        turn += 1;
    }
}

/// The next whole value of the protocol; what came after it waits.
fn one(from: &mut TcpStream, waiting: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut buffer = [0; 16 * 1024];
    loop {
        if let Some(length) = length(waiting) {
            let rest = waiting.split_off(length);
            return Some(std::mem::replace(waiting, rest));
        }
        let read = from.read(&mut buffer).ok().filter(|read| *read > 0)?;
        waiting.extend_from_slice(&buffer[..read]);
    }
}

/// How long the value is that the bytes begin with; none when it is not whole.
fn length(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|end| end == b"\r\n")?;
    let after = line + 2;
    let number = || std::str::from_utf8(&bytes[1..line]).ok()?.parse::<isize>().ok();
    match bytes.first()? {
        b'$' => {
            let whole = usize::try_from(number()?).map_or(after, |length| after + length + 2);
            (bytes.len() >= whole).then_some(whole)
        }
        b'*' => {
            let mut whole = after;
            for _ in 0..number()? {
                whole += length(bytes.get(whole..)?)?;
            }
            Some(whole)
        }
        _ => Some(after),
    }
}
