//! The command line as it is used: by somebody who has no keys, in the wrong folder, with an output that is lost, and on the last
//! administrator.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::api::tools::fingerprint;
use crate::support::client::{PASSWORD, new_email};
use crate::support::database::Database;
use crate::support::process::{Process, command_line, command_line_ok};
use crate::support::server::{Backend, Stores, on_each_backend};
use crate::support::settings::Settings;

/// The exit code and standard error of a command with this standard output, in this folder.
fn run(settings: &Settings, folder: &TempDir, arguments: &[&str], stdout: Stdio, input: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sessiond"));
    command.env_clear().envs(settings.pairs()).current_dir(folder.path()).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped()).spawn().expect("it is built");
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("own process");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn folder() -> TempDir {
    TempDir::with_prefix("sessiond-").expect("a folder")
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").expect("a device that is always full").into()
}

fn without_reader() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    OwnedFd::from(writer).into()
}

on_each_backend! {
    /// What was done is done, whatever becomes of the words about it; what was not is not said to be.
    async fn a_command_whose_output_is_lost_says_what_it_did(server: TestServer) {
        let (admin, user, other) = (server.admin().await, server.signed_in().await, server.signed_in().await);
        let (settings, folder) = (&server.settings, folder());
        let (email, new, alias) = (user.email.as_str(), new_email(), new_email());
        let password = format!("{PASSWORD}\n");
        for arguments in [
            &["user", "add", &new][..],
            &["user", "add", &alias, "--json"],
            &["user", "grant", email, "admin"],
            &["user", "revoke-role", email, "admin", "--json"],
            &["user", "lock", email],
            &["user", "reset", email],
            &["user", "reset", email, "--lock", "--json"],
            &["user", "disable", email],
            &["user", "enable", email],
            &["sessions", "revoke", &admin.person().session_id],
            &["sessions", "revoke", "--user", &other.email, "--yes", "--json"],
            &["ledger", "restored", "--yes"],
            &["user", "delete", email],
            &["migrate"],
        ] {
            let before = server.stores.database.count("audit", "1 = 1");
            let (code, said) = run(settings, &folder, arguments, full(), &password);
            let expected = if arguments == ["migrate"] { "are up to date, but" } else { "done in " };
            assert!(said.contains(expected) && said.contains("the output cannot be written: No space left"), "{arguments:?}: {said}");
            assert_eq!((code, said.matches("sessiond: ").count()), (Some(1), 1), "{arguments:?}: {said}");
            let changed = server.stores.database.count("audit", "1 = 1") > before;
            assert!(changed || arguments == ["migrate"], "{arguments:?}: nothing was done");
        }
        // Whoever reads no further has asked for no more.
        let (code, said) = run(settings, &folder, &["user", "disable", &new], without_reader(), "");
        assert!(code == Some(0) && said.contains("done in ") && !said.contains("cannot be written"), "{said}");
        assert_eq!(server.stores.database.count("users", "disabled_at IS NOT NULL AND deleted_at IS NULL"), 1);

        for arguments in [
            &["user", "list"][..],
            &["user", "list", "--json"],
            &["sessions", "list"],
            &["alerts", "list"],
            &["audit", "list"],
            &["webhook", "pending"],
            &["sessions", "revoke", "--all", "--dry-run"],
            &["check-config"],
            &["--help"],
            &["user", "--help"],
            &["--version"],
        ] {
            let (code, said) = run(settings, &folder, arguments, full(), "");
            let last = said.lines().last().unwrap_or_default();
            assert_eq!((code, last), (Some(1), "sessiond: the output cannot be written: No space left on device (os error 28)."), "{arguments:?}: {said}");
            assert_eq!(run(settings, &folder, arguments, without_reader(), "").0, Some(0), "{arguments:?}");
        }
        // A question that nobody can read is answered by nobody.
        let (unwritten, unread) = ("Nothing was done: the output", "Nothing was done: the output is closed");
        for (stdout, why) in [(full(), unwritten), (without_reader(), unread)] {
            let before = fingerprint(&server.stores.database);
            let (code, said) = run(settings, &folder, &["ledger", "restored"], stdout, "yes\n");
            assert!(code == Some(1) && said.contains(why), "{said}");
            assert_eq!(fingerprint(&server.stores.database), before);
        }
    }

    /// Whatever could leave nobody to administer has to be said to mean it.
    async fn every_command_refuses_to_leave_nobody_to_administer(server: TestServer) {
        let (admin, user) = (server.admin().await, server.signed_in().await);
        let last = admin.person();
        let commands = [
            &["user", "lock"][..],
            &["user", "reset", "--lock"],
            &["user", "reset", "--lock", "--json"],
            &["user", "disable"],
            &["user", "delete"],
            &["user", "revoke-role", "admin"],
        ];
        let with = |words: &[&str], who: &str, more: &[&str]| {
            let mut words: Vec<_> = words.iter().map(ToString::to_string).collect();
            words.insert(2, who.to_owned());
            words.extend(more.iter().map(ToString::to_string));
            words
        };
        let run = |words: Vec<String>| {
            let output = command_line(&server.settings, &words.iter().map(String::as_str).collect::<Vec<_>>(), "");
            (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
        };
        let before = fingerprint(&server.stores.database);
        for words in commands {
            for who in [&last.email, &last.user_id] {
                let (code, said) = run(with(words, who, &[]));
                assert!(code == Some(1) && said.contains("This is the last administrator"), "{words:?}: {said}");
                assert!(said.contains("use --force") && !said.contains("done in"), "{words:?}: {said}");
            }
        }
        assert_eq!(fingerprint(&server.stores.database), before);
        assert!(last.is_signed_in().await);
        // One who could not sign in is no other administrator.
        command_line_ok(&server.settings, &["user", "grant", &user.email, "admin"], "");
        command_line_ok(&server.settings, &["user", "reset", &user.email, "--lock"], "");
        assert_eq!(run(with(&["user", "reset", "--lock"], &last.email, &[])).0, Some(1));
        let (code, said) = run(with(&["user", "reset"], &last.email, &["--force"]));
        assert!(code == Some(2), "there is nothing to force: {said}");
        for words in commands.iter().filter(|words| words[1] != "delete") {
            let (code, said) = run(with(words, &last.user_id, &["--force"]));
            assert_eq!(code, Some(0), "{words:?}: {said}");
        }
    }
}

/// The tables of a database.
fn tables(database: &Database) -> usize {
    match database {
        Database::Sqlite(folder) => fs::read_dir(folder.path()).expect("a folder").count(),
        #[cfg(feature = "postgres")]
        Database::Postgres(_) => {
            database.values("SELECT tablename::text AS value FROM pg_tables WHERE schemaname = 'public'").len()
        }
    }
}

fn databases() -> Vec<Database> {
    vec![
        Database::sqlite(),
        #[cfg(feature = "postgres")]
        Database::postgres(),
    ]
}

/// A command that changes what there is, or only reads it, makes no database, and names the one that it did not find.
#[test]
fn a_command_makes_no_database_where_there_is_none() {
    let id = "01937c5e-7b1a-7c3d-8e4f-001122334455";
    for database in databases() {
        let stores = Stores::of(database, None);
        let settings = stores.settings();
        for arguments in [
            &["user", "list"][..],
            &["user", "list", "--json"],
            &["user", "reset", "a@b.cc"],
            &["user", "lock", "a@b.cc"],
            &["user", "grant", "a@b.cc", "admin"],
            &["user", "disable", id],
            &["user", "enable", id],
            &["user", "delete", id],
            &["sessions", "list"],
            &["sessions", "revoke", "--all", "--yes"],
            &["alerts", "list"],
            &["alerts", "acknowledge", id],
            &["audit", "list"],
            &["webhook", "pending"],
            &["ledger", "restored", "--yes"],
        ] {
            let output = command_line(&settings, arguments, "");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{arguments:?}: {said}");
            assert!(
                said.contains(&format!("There is no ledger in {}: ", stores.database.url())),
                "{arguments:?}: {said}"
            );
            assert_eq!(tables(&stores.database), 0, "{arguments:?}");
        }
        // The first account makes it, as does migrating.
        command_line_ok(&settings, &["user", "add", &new_email()], &format!("{PASSWORD}\n"));
        assert!(tables(&stores.database) > 0);
        command_line_ok(&settings, &["user", "list"], "");
    }
    // A relative name is told as the file that it stands for.
    let (folder, settings) = (folder(), Settings::new());
    let (code, said) = run(&settings, &folder, &["user", "list"], Stdio::null(), "");
    let whole = fs::canonicalize(folder.path()).expect("a folder").join("sessiond.db");
    assert!(code == Some(1) && said.contains(&format!("sqlite://{}: ", whole.display())), "{said}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

/// Somebody who may not read a server's secrets can run what uses none of them.
#[test]
fn a_command_that_uses_no_secret_needs_none() {
    for database in databases() {
        let stores = Stores::of(database, None);
        // As for several nodes, which have no key that makes itself.
        let bare = stores.settings().without("SESSIOND_COOKIE_KEY").with("REDIS_URL", "redis://127.0.0.1:1");
        let unreadable = bare.clone().with_all(&[
            ("SESSIOND_COOKIE_KEY_FILE", "/none"),
            ("SESSIOND_WEBHOOK_URL", "http://127.0.0.1:1/in"),
            ("SESSIOND_WEBHOOK_SECRET_FILE", "/none"),
        ]);
        let email = new_email();
        for (number, settings) in [&bare, &unreadable].into_iter().enumerate() {
            let new = if number == 0 { email.clone() } else { new_email() };
            for arguments in [
                &["migrate"][..],
                &["user", "add", &new],
                &["user", "list"],
                &["user", "reset", &email],
                &["user", "disable", &email],
                &["user", "enable", &email],
                &["sessions", "list"],
                &["sessions", "revoke", "--all", "--yes"],
                &["alerts", "list"],
                &["audit", "list"],
                &["webhook", "pending"],
                &["ledger", "restored", "--yes"],
            ] {
                command_line_ok(settings, arguments, &format!("{PASSWORD}\n"));
            }
            for arguments in [&["check-config"][..], &[]] {
                let output = command_line(settings, arguments, "");
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(
                    output.status.code() == Some(2) && said.contains("SESSIOND_COOKIE_KEY"),
                    "{arguments:?}: {said}"
                );
            }
        }
        let tested = command_line(&unreadable, &["webhook", "test"], "");
        let said = String::from_utf8_lossy(&tested.stderr).into_owned();
        assert!(
            tested.status.code() == Some(2) && said.contains("SESSIOND_WEBHOOK_SECRET_FILE names a file"),
            "{said}"
        );
        // What was done reached the receiver's list all the same.
        assert!(stores.database.count("webhook_outbox", "1 = 1") > 0);
    }
}

/// Who may reach a file with a secret is judged alike, whichever secret it is and whoever has made it; what is odd is said once.
#[test]
fn every_file_with_a_secret_is_judged_by_who_may_reach_it() {
    let stores = Stores::new(Backend::Embedded);
    let made = PathBuf::from(format!("{}.cookie-key", stores.database.url().trim_start_matches("sqlite://")));
    let own = stores.settings().without("SESSIOND_COOKIE_KEY");
    drop(Process::start(&own));
    let key = fs::read_to_string(&made).expect("it was made");
    let folder = folder();
    let (key_file, secret_file) = (folder.path().join("hunter2-key"), folder.path().join("hunter2-secret"));
    fs::write(&key_file, key).expect("a file");
    fs::write(&secret_file, "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").expect("a file");
    let name = |path: &Path| path.display().to_string();
    let rows = [
        ("SESSIOND_COOKIE_KEY", made, own.clone()),
        ("SESSIOND_COOKIE_KEY_FILE", key_file.clone(), own.clone().with("SESSIOND_COOKIE_KEY_FILE", &name(&key_file))),
        (
            "SESSIOND_WEBHOOK_SECRET_FILE",
            secret_file.clone(),
            stores
                .settings()
                .with("SESSIOND_WEBHOOK_URL", "http://127.0.0.1:1/in")
                .with("SESSIOND_WEBHOOK_SECRET_FILE", &name(&secret_file)),
        ),
    ];
    for (variable, path, settings) in rows {
        let set = |mode: u32| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("own file");
        for mode in [0o666, 0o644, 0o606, 0o602, 0o601, 0o777] {
            set(mode);
            let output = command_line(&settings, &[], "");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains(variable), "{mode:o}: {said}");
            assert!(said.contains("every user") && said.contains("chmod 600"), "{variable} {mode:o}: {said}");
            assert!(variable == "SESSIOND_COOKIE_KEY" || !said.contains("hunter2"), "{said}");
        }
        for (mode, times) in [(0o640, 1), (0o660, 1), (0o600, 0), (0o400, 0)] {
            set(mode);
            let log = Process::start(&settings).output();
            assert_eq!(log.matches("its group").count(), times, "{variable} {mode:o}: {log}");
        }
    }
}

/// A link that leads to this machine is told where links are made, and where settings are looked at.
#[cfg(feature = "postgres")]
#[test]
fn a_forgotten_origin_is_told_by_what_shows_links() {
    let stores = Stores::of(Database::postgres(), None);
    let (settings, email) = (stores.settings(), new_email());
    command_line_ok(&settings, &["user", "add", &email], &format!("{PASSWORD}\n"));
    let told = "SESSIOND_ORIGIN is not set";
    for arguments in [&["check-config"][..], &["user", "reset", &email], &["user", "reset", &email, "--json"]] {
        let named = settings.clone().with("SESSIOND_ORIGIN", "https://app.example.com");
        for (settings, times) in [(&settings, 1), (&named, 0)] {
            let output = command_line(settings, arguments, "");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && said.matches(told).count() == times, "{arguments:?}: {said}");
        }
    }
}
