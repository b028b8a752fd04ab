//! A receiver: a real HTTP server that checks each signature by its own reckoning and remembers what it was told.
//!
//! Owns what it answers, which a test can change at any time. Must never share code with what signs: a mistake made
//! twice would not be seen.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::Mutex;
use serde_json::Value;
use sessiond::domain::{Clock, MovableClock};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use crate::support::settings::Settings;
use crate::support::wait::until;

/// The usual secret.
pub const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// Another one.
pub const OTHER: &str = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
/// How far a timestamp may be off.
const TOLERANCE: i64 = 300;
const PATIENCE: Duration = Duration::from_secs(20);

/// One message as it arrived.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    pub body: String,
    pub json: Value,
    /// Whether it was taken.
    pub taken: bool,
}

impl Message {
    pub fn kind(&self) -> &str {
        self.json["type"].as_str().expect("a type")
    }

    pub fn text(&self, name: &str) -> &str {
        self.json["data"][name].as_str().unwrap_or_else(|| panic!("no {name}: {}", self.json))
    }
}

/// What it answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// 204.
    Take,
    /// Exactly these bytes.
    Raw(String),
    /// 204, after a while.
    TakeAfter(Duration),
    /// Nothing, for ever.
    Hang,
    /// 500 with a body that never ends.
    Endless,
    /// 400 for messages that hold this text.
    RefuseWith(String),
}

struct ReceiverState {
    secrets: Vec<String>,
    answer: Answer,
    messages: Vec<Message>,
    faults: Vec<String>,
    /// How far the clock has just jumped: what is on its way was signed before.
    jump: Duration,
    clock: Arc<dyn Clock>,
}

/// The running receiver; its port stays its own, also while it is down.
pub struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<ReceiverState>>,
    running: Mutex<Option<AbortHandle>>,
}

impl Receiver {
    pub async fn start(clock: &Arc<MovableClock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let clock: Arc<dyn Clock> = Arc::<MovableClock>::clone(clock);
        let state = ReceiverState {
            secrets: vec![SECRET.to_owned()],
            answer: Answer::Take,
            messages: vec![],
            faults: vec![],
            jump: Duration::ZERO,
            clock,
        };
        let receiver = Self { address, state: Arc::new(Mutex::new(state)), running: Mutex::default() };
        receiver.serve(listener);
        receiver
    }

    fn serve(&self, listener: TcpListener) {
        let state = Arc::clone(&self.state);
        let task = tokio::spawn(async move {
            // The conversations end with the receiver.
            let mut conversations = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                conversations.spawn(converse(stream, Arc::clone(&state)));
            }
        });
        *self.running.lock() = Some(task.abort_handle());
    }

    /// From now on nobody listens.
    pub async fn stop(&self) {
        let running = self.running.lock().take();
        if let Some(running) = running {
            running.abort();
        }
        until("nobody listens", PATIENCE, async || tokio::net::TcpStream::connect(self.address).await.is_err()).await;
    }

    /// Somebody does again, at the same address.
    pub async fn start_again(&self) {
        self.serve(TcpListener::bind(self.address).await.expect("the same port"));
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook?key=hunter2", self.address)
    }

    /// Settings with this receiver.
    pub fn settings(&self, settings: &Settings) -> Settings {
        settings.clone().with("SESSIOND_WEBHOOK_URL", &self.url()).with("SESSIOND_WEBHOOK_SECRET", SECRET)
    }

    fn state<T>(&self, ask: impl FnOnce(&mut ReceiverState) -> T) -> T {
        ask(&mut self.state.lock())
    }

    pub fn answer(&self, answer: Answer) {
        self.state(|state| state.answer = answer);
    }

    /// The clock is about to jump so far.
    pub fn expect_jump(&self, by: Duration) {
        self.state(|state| state.jump = by);
    }

    /// The secrets that it knows from now on.
    pub fn know(&self, secrets: &[&str]) {
        self.state(|state| state.secrets = secrets.iter().map(|&secret| secret.to_owned()).collect());
    }

    /// Everything that arrived, also what was not taken; panics if anything was signed wrongly.
    pub fn messages(&self) -> Vec<Message> {
        self.state(|state| {
            assert!(state.faults.is_empty(), "{:?}", state.faults);
            state.messages.clone()
        })
    }

    /// What was refused for its signature.
    pub fn faults(&self) -> Vec<String> {
        self.state(|state| std::mem::take(&mut state.faults))
    }

    /// What it has taken, without repetitions, which must be the same in every byte.
    pub fn taken(&self) -> Vec<Message> {
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        let mut taken = Vec::new();
        for message in self.messages() {
            let before = seen.insert(message.id.clone(), message.body.clone());
            assert!(before.is_none_or(|before| before == message.body), "one id, two messages: {}", message.id);
            if message.taken && !taken.iter().any(|one: &Message| one.id == message.id) {
                taken.push(message);
            }
        }
        taken
    }

    /// Waits until it has taken so many different messages.
    pub async fn has_taken(&self, count: usize) -> Vec<Message> {
        until(&format!("{count} messages"), PATIENCE, async || self.taken().len() >= count).await;
        let taken = self.taken();
        assert_eq!(taken.len(), count, "{taken:?}");
        taken
    }

    /// Waits until so many attempts were made.
    pub async fn was_asked(&self, count: usize) {
        until(&format!("{count} attempts"), PATIENCE, async || self.messages().len() >= count).await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(running) = self.running.lock().take() {
            running.abort();
        }
    }
}

/// Each session's messages came in their order, and each revoked one was created before.
pub fn assert_ordered(taken: &[Message]) {
    let mut sessions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for message in taken.iter().filter(|message| message.kind().starts_with("session.")) {
        sessions.entry(message.text("session_id")).or_default().push(message.kind());
    }
    for (session, kinds) in sessions {
        let expected = ["session.created", "session.revoked"];
        assert_eq!(kinds, expected[..kinds.len().min(2)], "{session}");
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, state: Arc<Mutex<ReceiverState>>) {
    // A client that hangs up is its own trouble.
    let _ = answer(stream, state).await;
}

/// Reads one request, judges and answers it.
async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    state: Arc<Mutex<ReceiverState>>,
) -> std::io::Result<()> {
    let Some((head, body)) = request(&mut stream).await? else { return Ok(()) };
    let answer = judge(&state, &head, body);
    let said = match answer {
        Answer::Take => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        Answer::Raw(bytes) => bytes,
        Answer::TakeAfter(wait) => {
            tokio::time::sleep(wait).await;
            "HTTP/1.1 204 No Content\r\n\r\n".to_owned()
        }
        Answer::Hang => std::future::pending().await,
        Answer::Endless => {
            stream.write_all(b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            loop {
                stream.write_all(b"1000\r\n").await?;
                stream.write_all(&[b'x'; 4_096]).await?;
                stream.write_all(b"\r\n").await?;
            }
        }
        Answer::RefuseWith(_) => "HTTP/1.1 400 Bad Request\r\nContent-Length: 9\r\n\r\nno\n\x1b[31mno".to_owned(),
    };
    stream.write_all(said.as_bytes()).await?;
    stream.shutdown().await
}

/// One request's head and body.
pub async fn request(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<(String, String)>> {
    let mut read = Vec::new();
    let mut bytes = [0; 4_096];
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            let length: usize = header(&head, "content-length").parse().expect("a length");
            if read.len() >= end + 4 + length {
                return Ok(Some((head, String::from_utf8_lossy(&read[end + 4..]).into_owned())));
            }
        }
        match stream.read(&mut bytes).await? {
            0 => return Ok(None),
            count => read.extend(&bytes[..count]),
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let found = head.lines().filter_map(|line| line.split_once(": "));
    let mut found = found.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let value = found.next().unwrap_or_else(|| panic!("no {name}: {head}"));
    assert!(found.next().is_none(), "two of {name}: {head}");
    value
}

fn judge(state: &Mutex<ReceiverState>, head: &str, body: String) -> Answer {
    let mut state = state.lock();
    assert!(head.starts_with("POST /hook?key=hunter2 HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(head, "content-type"), "application/json");
    let id = header(head, "webhook-id").to_owned();
    if let Some(fault) = fault(&state, head, &id, &body) {
        state.faults.push(fault);
        return Answer::Raw("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_owned());
    }
    let json = serde_json::from_str(&body).expect("JSON");
    let answer = match &state.answer {
        Answer::RefuseWith(text) if !body.contains(text.as_str()) => Answer::Take,
        answer => answer.clone(),
    };
    let taken = matches!(answer, Answer::Take | Answer::TakeAfter(_));
    state.messages.push(Message { id, body, json, taken });
    answer
}

fn fault(state: &ReceiverState, head: &str, id: &str, body: &str) -> Option<String> {
    let timestamp: i64 = header(head, "webhook-timestamp").parse().expect("seconds");
    let off = state.clock.now().ms() / 1_000 - timestamp;
    let jump = i64::try_from(state.jump.as_secs()).expect("seconds");
    if off < -TOLERANCE || off > TOLERANCE + jump {
        return Some(format!("{id}: signed {off} s ago"));
    }
    let shown: Vec<_> = header(head, "webhook-signature").split(' ').collect();
    let right = |secret: &String| {
        let key = STANDARD.decode(secret.trim_start_matches("whsec_")).expect("base64");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        shown.contains(&format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())).as_str())
    };
    (!state.secrets.iter().any(right)).then(|| format!("{id}: no signature that is known among {shown:?}"))
}
