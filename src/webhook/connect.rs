//! Connect: resolves the receiver's name, judges each address, connects, and starts TLS.
//!
//! Owns this order. Must never connect to an address that was not judged: a second look-up of a name may give another
//! address.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::answer::NoAnswer;
use crate::domain::webhook_url::WebhookUrl;

/// How long name resolution may take.
const LOOKUP_WAIT: Duration = Duration::from_secs(5);
/// How long one address may take to connect, including TLS.
const CONNECT_WAIT: Duration = Duration::from_secs(3);
/// The most addresses to try.
const MOST_ADDRESSES: usize = 3;

/// Connects to one receiver.
pub(super) struct Connector {
    url: WebhookUrl,
    tls: OnceLock<Result<TlsConnector, NoAnswer>>,
}

impl Connector {
    pub(super) fn new(url: WebhookUrl) -> Self {
        Self { url, tls: OnceLock::new() }
    }

    pub(super) fn url(&self) -> &WebhookUrl {
        &self.url
    }

    /// The system's trust store, or `SSL_CERT_FILE`, read once; none where it is not needed.
    pub(super) fn trust(&self) -> Result<Option<TlsConnector>, NoAnswer> {
        match self.url.is_https() {
            true => self.tls.get_or_init(system_trust).clone().map(Some),
            false => Ok(None),
        }
    }

    /// A connection ready for a request.
    pub(super) async fn connect(&self) -> Result<TokioIo<Stream>, NoAnswer> {
        let tls = self.trust()?;
        let stream = reach(&self.addresses().await?).await?;
        // A message is one write; a delay would gain nothing.
        let _unsupported = stream.set_nodelay(true);
        let Some(tls) = tls else { return Ok(TokioIo::new(Stream::Plain(stream))) };
        let name = ServerName::try_from(self.url.host())
            .map_err(|error| NoAnswer(format!("its host name is invalid: {error}")))?;
        match timeout(CONNECT_WAIT, tls.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(TokioIo::new(Stream::Tls(Box::new(stream)))),
            Ok(Err(error)) => Err(NoAnswer(format!("TLS with the receiver failed: {error}"))),
            Err(_) => Err(NoAnswer("the TLS handshake with the receiver timed out".to_owned())),
        }
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, NoAnswer> {
        let (host, port) = (self.url.host(), self.url.port());
        let found = match timeout(LOOKUP_WAIT, lookup_host((host.as_str(), port))).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return Err(NoAnswer(format!("{host} is not found: {error}"))),
            Err(_) => return Err(NoAnswer(format!("the lookup of {host} timed out"))),
        };
        let mut refused = None;
        let allowed = found.filter(|address| {
            let allowed = self.url.allows(address.ip());
            refused = if allowed { refused } else { Some(address.ip()) };
            allowed
        });
        let allowed: Vec<_> = allowed.take(MOST_ADDRESSES).collect();
        match (allowed.is_empty(), refused) {
            (false, _) => Ok(allowed),
            (true, Some(address)) => Err(NoAnswer(format!("{host} leads to {address}, which no receiver can have"))),
            (true, None) => Err(NoAnswer(format!("{host} has no address"))),
        }
    }
}

async fn reach(addresses: &[SocketAddr]) -> Result<TcpStream, NoAnswer> {
    let mut why = NoAnswer("it has no address".to_owned());
    for address in addresses {
        match timeout(CONNECT_WAIT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => why = NoAnswer(format!("{address} cannot be reached: {error}")),
            Err(_) => why = NoAnswer(format!("{address} cannot be reached in time")),
        }
    }
    Err(why)
}

fn system_trust() -> Result<TlsConnector, NoAnswer> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (good, _) = roots.add_parsable_certificates(found.certs);
    if good == 0 {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(NoAnswer(format!(
            "this machine trusts no certificate authority{why}: install ca-certificates or set SSL_CERT_FILE"
        )));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = versions.map_err(|error| NoAnswer(format!("TLS cannot be set up: {error}")))?;
    let config = versions.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A connection, with TLS or without.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, to),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, to),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, from),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, from),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
