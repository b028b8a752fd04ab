//! A TCP proxy that can be made ill: in front of Redis or PostgreSQL, it plays the network that delays,
//! swallows, cuts and refuses, and it can hold one chosen message, or the answer to it, back while everything else goes on.
//!
//! Owns one listening port and its own thread, so that a test that blocks cannot block its network. Must never
//! change a byte: it delivers what it got, later, or not at all.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::ports::free_port;
use super::wait;

const PATIENCE: Duration = Duration::from_secs(10);

/// What happens to the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Pass,
    Delay(Duration),
    BlackHole,
    ResetAfter(usize),
}

/// One proxy in front of one address.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Mutex<Option<JoinHandle<()>>>,
    runtime: Option<Runtime>,
}

struct Shared {
    /// Connections go to each in turn.
    targets: Mutex<Vec<SocketAddr>>,
    connected: AtomicUsize,
    mode: watch::Sender<Mode>,
    /// Raised to cut every connection that was accepted before.
    generation: watch::Sender<u64>,
    holds: Mutex<Vec<Arc<Held>>>,
    accepted: AtomicUsize,
}

/// Of a message, and the number of the connection that it comes over.
type Predicate = dyn Fn(usize, &[u8]) -> bool + Send + Sync;

struct Held {
    matches: Box<Predicate>,
    what: What,
    left: AtomicUsize,
    caught: watch::Sender<usize>,
    released: watch::Sender<bool>,
}

/// What is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// A client's message.
    Message,
    /// The answer to a client's message.
    Answer,
    /// What the server sends by itself, such as a message of a channel.
    Delivery,
    /// The same, for ever: it is lost.
    Loss,
}

impl Proxy {
    /// Starts a proxy that passes everything on to `target`.
    pub fn start(target: SocketAddr) -> Self {
        Self::in_turn(vec![target])
    }

    /// Starts a proxy that passes everything on, each connection to the next of the targets: a balancer.
    pub fn in_turn(targets: Vec<SocketAddr>) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
        let shared = Arc::new(Shared {
            targets: Mutex::new(targets),
            connected: AtomicUsize::new(0),
            mode: watch::Sender::new(Mode::Pass),
            generation: watch::Sender::new(0),
            holds: Mutex::default(),
            accepted: AtomicUsize::new(0),
        });
        let (address, listener) = wait::until_found("the proxy finds a port", PATIENCE, || {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
            Some((address, listen(&runtime, address)?))
        });
        let proxy = Self { address, shared, accepting: Mutex::default(), runtime: Some(runtime) };
        proxy.accept(listener);
        proxy
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `url` with its host and port replaced by the proxy's: `postgres://me@host:5432/name` keeps the rest.
    pub fn in_url(&self, url: &str) -> String {
        let (scheme, rest) = url.split_once("://").expect("a URL has a scheme");
        let (authority, path) = rest.split_once('/').map_or((rest, String::new()), |(a, p)| (a, format!("/{p}")));
        let user = authority.rsplit_once('@').map_or(String::new(), |(user, _)| format!("{user}@"));
        format!("{scheme}://{user}{}{path}", self.address)
    }

    /// Healthy again: accepts, and passes everything on at once.
    pub fn pass(&self) {
        self.set(Mode::Pass);
    }

    /// Every message takes this much longer, in each direction.
    pub fn delay(&self, by: Duration) {
        self.set(Mode::Delay(by));
    }

    /// Accepts connections and swallows what is sent, also on the connections that are open. A connection that
    /// lost something is cut when this ends, as a real one would be.
    pub fn black_hole(&self) {
        self.set(Mode::BlackHole);
    }

    /// Of the next answer on every connection, also on new ones, so many bytes come through; then it is reset.
    pub fn reset_after(&self, bytes: usize) {
        self.set(Mode::ResetAfter(bytes));
    }

    /// New connections go to `target`: the address moves. Open ones stay where they are; see [`Proxy::cut`].
    pub fn lead_to(&self, target: SocketAddr) {
        *self.shared.targets.lock() = vec![target];
    }

    /// Cuts every open connection with a reset; new ones are welcome.
    pub fn cut(&self) {
        self.shared.generation.send_modify(|generation| *generation += 1);
    }

    /// Nobody listens any more, until the next [`Proxy::pass`]. Open connections stay; see [`Proxy::cut`].
    pub fn refuse(&self) {
        let stopped = self.accepting.lock().take();
        if let Some(task) = stopped {
            task.abort();
            wait::until_found("the proxy stops listening", PATIENCE, || task.is_finished().then_some(()));
        }
    }

    /// How many connections it has accepted since the start.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Holds back every message from a client that `matches`, and what follows it on the same connection, until
    /// the [`Hold`] is released or dropped. A message is what one read gives: one command or one pipeline.
    pub fn hold(&self, matches: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Hold {
        self.hold_first(usize::MAX, matches)
    }

    /// Like [`Proxy::hold`], but only for the first `count` messages that match.
    pub fn hold_first(&self, count: usize, matches: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Hold {
        self.held(count, What::Message, move |_, message| matches(message))
    }

    /// Lets the first `count` messages that match through and holds back the answers to them, with whatever else comes
    /// from the server on those connections: what was asked for is done, and whoever asked does not know it. Where several
    /// questions are on their way at once, as to Redis, the answer to an earlier one may be the first that is held.
    pub fn hold_answers(&self, count: usize, matches: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Hold {
        self.held(count, What::Answer, move |_, message| matches(message))
    }

    /// Holds back whatever the server sends that `matches`, and what follows it on the same connection: a message of a
    /// channel that comes late.
    pub fn hold_deliveries(&self, matches: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Hold {
        self.held(usize::MAX, What::Delivery, move |_, message| matches(message))
    }

    /// Loses whatever the server sends that `matches`, as long as this lasts.
    pub fn lose_deliveries(&self, matches: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Hold {
        self.held(usize::MAX, What::Loss, move |_, message| matches(message))
    }

    /// Holds the first message that contains `then` on a connection on which one with `first` has come before: itself, or
    /// the answer to it.
    pub fn hold_next(&self, first: &'static str, then: &'static str, answer: bool) -> Hold {
        let begun = Mutex::new(HashSet::new());
        let what = if answer { What::Answer } else { What::Message };
        self.held(1, what, move |connection, message| {
            let mut begun = begun.lock();
            if contains(first)(message) {
                begun.insert(connection);
                return false;
            }
            contains(then)(message) && begun.contains(&connection)
        })
    }

    fn held(&self, count: usize, what: What, matches: impl Fn(usize, &[u8]) -> bool + Send + Sync + 'static) -> Hold {
        let held = Arc::new(Held {
            matches: Box::new(matches),
            what,
            left: AtomicUsize::new(count),
            caught: watch::Sender::new(0),
            released: watch::Sender::new(false),
        });
        self.shared.holds.lock().push(Arc::clone(&held));
        Hold { held, shared: Arc::clone(&self.shared) }
    }

    fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
        if self.accepting.lock().is_none() {
            let runtime = self.runtime.as_ref().expect("lives as long as the proxy");
            let again = || listen(runtime, self.address);
            self.accept(wait::until_found("the proxy listens again", PATIENCE, again));
        }
    }

    fn accept(&self, listener: TcpListener) {
        let runtime = self.runtime.as_ref().expect("lives as long as the proxy");
        let serving = runtime.spawn(accept_all(listener, Arc::clone(&self.shared)));
        *self.accepting.lock() = Some(serving);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // A plain drop would block, which an asynchronous test may not.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Messages held back by [`Proxy::hold`]. Dropping it lets them go.
pub struct Hold {
    held: Arc<Held>,
    shared: Arc<Shared>,
}

impl Hold {
    /// Waits until at least one message is being held; panics after ten seconds.
    pub async fn caught(&self) {
        let mut caught = self.held.caught.subscribe();
        let waiting = caught.wait_for(|count| *count > 0);
        let _ = tokio::time::timeout(PATIENCE, waiting).await.expect("no message came that was to be held");
    }

    /// How many messages have been held so far.
    pub fn count(&self) -> usize {
        *self.held.caught.borrow()
    }

    /// Lets them go, and holds nothing further.
    pub fn release(self) {}
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shared.holds.lock().retain(|held| !Arc::ptr_eq(held, &self.held));
        self.held.released.send_replace(true);
    }
}

/// True for messages that contain these bytes.
pub fn contains(needle: impl Into<Vec<u8>>) -> impl Fn(&[u8]) -> bool + Send + Sync + 'static {
    let needle = needle.into();
    move |message| message.windows(needle.len()).any(|window| window == needle)
}

fn listen(runtime: &Runtime, address: SocketAddr) -> Option<TcpListener> {
    // Binding needs a runtime but no waiting; the standard library's socket can do it from anywhere.
    let listener = std::net::TcpListener::bind(address).ok()?;
    listener.set_nonblocking(true).ok()?;
    let _context = runtime.enter();
    TcpListener::from_std(listener).ok()
}

async fn accept_all(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(serve(client, Arc::clone(&shared)));
    }
}

/// One connection, until one side closes it or it is cut.
async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let mut generation = shared.generation.subscribe();
    let mine = *generation.borrow_and_update();
    let _ = client.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let reset = tokio::select! {
        reset = join(from_client, &to_client, &shared) => reset,
        _ = generation.wait_for(|now| *now != mine) => true,
    };
    if reset {
        let _ = to_client.as_ref().set_zero_linger();
        // Without this, the drop would send an orderly end before the reset.
        to_client.forget();
    }
}

/// Copies both ways; true when the connection is to end with a reset.
async fn join(mut from_client: tcp::OwnedReadHalf, to_client: &tcp::OwnedWriteHalf, shared: &Shared) -> bool {
    let Some((server, number)) = connect(shared).await else {
        return swallow(&mut from_client, shared).await;
    };
    let (mut from_server, to_server) = server.into_split();
    let connection = Connection { number, awaited: Mutex::default() };
    tokio::select! {
        reset = copy(&mut from_client, &to_server, shared, (&connection, true)) => reset,
        reset = copy(&mut from_server, to_client, shared, (&connection, false)) => reset,
    }
}

/// The connection to the target, unless there is a black hole in between.
async fn connect(shared: &Shared) -> Option<(TcpStream, usize)> {
    if *shared.mode.borrow() == Mode::BlackHole {
        return None;
    }
    let number = shared.connected.fetch_add(1, Ordering::SeqCst);
    let target = {
        let targets = shared.targets.lock();
        *targets.get(number % targets.len())?
    };
    let server = TcpStream::connect(target).await.ok()?;
    server.set_nodelay(true).ok()?;
    Some((server, number))
}

struct Connection {
    number: usize,
    /// What holds back the answer that comes next.
    awaited: Mutex<Option<Arc<Held>>>,
}

/// Copies one way; true when bytes were lost, so that the connection must be reset.
async fn copy(
    from: &mut tcp::OwnedReadHalf,
    to: &tcp::OwnedWriteHalf,
    shared: &Shared,
    (connection, client_speaks): (&Connection, bool),
) -> bool {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let message = match from.read(&mut buffer).await {
            Ok(0) => return false,
            Err(_) => return true,
            Ok(length) => buffer.get(..length).unwrap_or_default(),
        };
        if client_speaks {
            hold_back(shared.hold_of(connection, message, What::Message)).await;
            let answer = shared.hold_of(connection, message, What::Answer);
            if answer.is_some() {
                *connection.awaited.lock() = answer;
            }
        } else {
            let held = connection.awaited.lock().take();
            hold_back(held).await;
            if let Some(lost) = shared.hold_of(connection, message, What::Loss) {
                lost.caught.send_modify(|count| *count += 1);
                continue;
            }
            hold_back(shared.hold_of(connection, message, What::Delivery)).await;
        }
        let mode = *shared.mode.borrow();
        match mode {
            Mode::Pass => {}
            Mode::Delay(by) => tokio::time::sleep(by).await,
            Mode::BlackHole => return swallow(from, shared).await,
            Mode::ResetAfter(_) if client_speaks => {}
            Mode::ResetAfter(bytes) => {
                // What comes through must arrive before the reset, which would overtake it.
                let _ = write(to, message.get(..bytes).unwrap_or(message)).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
                return true;
            }
        }
        if write(to, message).await.is_err() {
            return true;
        }
    }
}

async fn write(to: &tcp::OwnedWriteHalf, mut message: &[u8]) -> std::io::Result<()> {
    while !message.is_empty() {
        to.writable().await?;
        match to.try_write(message) {
            Ok(written) => message = message.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads and forgets as long as there is a black hole.
async fn swallow(from: &mut tcp::OwnedReadHalf, shared: &Shared) -> bool {
    let mut mode = shared.mode.subscribe();
    let mut sink = tokio::io::sink();
    tokio::select! {
        _ = mode.wait_for(|mode| *mode != Mode::BlackHole) => {}
        _ = tokio::io::copy(from, &mut sink) => {}
    }
    let _ = sink.shutdown().await;
    true
}

async fn hold_back(held: Option<Arc<Held>>) {
    if let Some(held) = held {
        let mut released = held.released.subscribe();
        held.caught.send_modify(|count| *count += 1);
        let _ = released.wait_for(|released| *released).await;
    }
}

impl Shared {
    /// What holds this message back, or the answer to it.
    fn hold_of(&self, connection: &Connection, message: &[u8], what: What) -> Option<Arc<Held>> {
        let holds = |held: &&Arc<Held>| held.what == what && held.takes(connection.number, message);
        self.holds.lock().iter().find(holds).map(Arc::clone)
    }
}

impl Held {
    fn takes(&self, connection: usize, message: &[u8]) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        (self.matches)(connection, message)
            && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
    }
}
