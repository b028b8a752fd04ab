//! A certificate authority of one test's own, and how a test comes to trust it.
//!
//! Owns the files. sessiond trusts what the system trusts, and `SSL_CERT_FILE` says what that is; a process cannot
//! set its own environment safely, so a test that needs it runs itself once more. Must never be trusted by anything
//! but that run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

const FOLDER: &str = "SESSIOND_TEST_TLS";

/// Runs the test `path` again in a process that trusts a new authority. True in that process.
pub fn trusting(path: &str) -> bool {
    if std::env::var_os(FOLDER).is_some() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        return true;
    }
    let folder = TempDir::with_prefix("tls-").expect("a folder for certificates");
    authority(folder.path());
    let (_, name) = path.split_once("::").expect("a test is in a module");
    let program = std::env::current_exe().expect("the test's own program");
    let mut test = Command::new(program);
    test.args(["--exact", name, "--nocapture"]).stdin(Stdio::null());
    test.env(FOLDER, folder.path()).env("SSL_CERT_FILE", folder.path().join("ca.pem")).env_remove("SSL_CERT_DIR");
    let output = test.output().expect("the test runs again");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{complaint}");
    false
}

/// Where this process' authority is: `ca.pem`, `server.pem` and `server.key`.
pub fn folder() -> PathBuf {
    std::env::var_os(FOLDER).expect("a test of TLS begins with tls::trusting").into()
}

/// Makes an authority, and a certificate for `localhost`.
pub fn authority(folder: &Path) {
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().expect("this test needs openssl");
        assert!(status.success(), "openssl {arguments:?}");
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let own = ["req", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=sessiond test"];
    openssl(&[&own[..], &key].concat());
    let request = ["req", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost"];
    openssl(&[&request[..], &key].concat());
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").expect("a file");
    let sign = ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
    openssl(&[&sign[..], &["-out", "server.pem", "-days", "2", "-extfile", "names"]].concat());
}
