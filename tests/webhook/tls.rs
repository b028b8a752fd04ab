//! A receiver over TLS: whom this machine trusts may be told, and nobody else.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::settings::Settings;
use crate::support::tls;
use crate::webhook::receiver::{SECRET, request};

/// A server with this certificate that takes everything, and the port that it has.
async fn server(folder: &std::path::Path) -> u16 {
    let chain = CertificateDer::from_pem_file(folder.join("server.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("a key");
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![chain], key);
    let acceptor = TlsAcceptor::from(Arc::new(config.expect("a configuration")));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            if let Ok(Some((head, _))) = request(&mut stream).await {
                assert!(head.starts_with("POST /in?a=b HTTP/1.1\r\n"), "{head}");
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                let _ = stream.shutdown().await;
            }
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_receiver_that_this_machine_trusts_is_told() {
    if !tls::trusting(concat!(module_path!(), "::only_a_receiver_that_this_machine_trusts_is_told")) {
        return;
    }
    let strangers = tempfile::tempdir().expect("a folder");
    tls::authority(strangers.path());
    let (known, stranger) = (server(&tls::folder()).await, server(strangers.path()).await);
    let test = async |url: String| {
        let settings = Settings::new().with("SESSIOND_WEBHOOK_URL", &url).with("SESSIOND_WEBHOOK_SECRET", SECRET);
        let config = settings.config().expect("good settings");
        let webhook = config.webhook.as_ref().expect("a webhook");
        sessiond::service::test_webhook(&webhook.url, &webhook.secrets).await
    };
    for host in ["localhost", "127.0.0.1"] {
        let tried = test(format!("https://{host}:{known}/in?a=b")).await;
        assert!(tried.delivered, "{}", tried.answer);
    }
    let tried = test(format!("https://localhost:{stranger}/in?a=b")).await;
    assert!(!tried.delivered && tried.answer.contains("invalid peer certificate"), "{}", tried.answer);
    // The right authority, but for another name.
    let tried = test(format!("https://[::ffff:127.0.0.1]:{known}/in?a=b")).await;
    assert!(!tried.delivered, "{}", tried.answer);
    println!("{}", tried.answer);
    let tried = test(format!("http://localhost:{known}/in?a=b")).await;
    assert!(!tried.delivered, "{}", tried.answer);
}
