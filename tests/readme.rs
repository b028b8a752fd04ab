//! The README's walk-through, pasted line by line by somebody who has just started the server.
//!
//! Owns the reading of the README: each command's promise is the comment behind it. Must never hold a command of
//! its own.

mod walk_through {
    use std::fs;
    use std::io::Write as _;
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use serde_json::Value;
    use tempfile::TempDir;

    use crate::support::process::Process;
    use crate::support::settings::Settings;
    use crate::support::wait::until_found;

    const README: &str = include_str!("../README.md");
    const SITE: &str = "http://localhost:8080";
    const PATIENCE: Duration = Duration::from_secs(10);
    /// Printed after each line: not a word that any answer has.
    const END: &str = "-- end of the line --";

    /// One line of the README, and what it printed.
    struct Step {
        line: String,
        printed: String,
    }

    impl Step {
        /// The status that the comment behind the command promises.
        fn promise(&self) -> Option<&str> {
            let (_, comment) = self.line.split_once(" # ")?;
            comment.split_once(": ").map(|(status, _)| status)
        }

        /// The status that was printed, under the body.
        fn status(&self) -> &str {
            self.printed.trim_end().lines().last().unwrap_or_default()
        }

        fn body(&self) -> Value {
            serde_json::from_str(self.printed.lines().next().unwrap_or_default())
                .unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.printed))
        }
    }

    /// The lines of the block of commands that begins with the site's address.
    fn lines(site: &str) -> Vec<String> {
        let blocks = README.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
        let found: Vec<&str> = blocks.map(|(block, _)| block).filter(|block| block.contains(SITE)).collect();
        assert_eq!(found.len(), 1, "one walk-through");
        found[0].replace(SITE, site).lines().map(str::to_owned).collect()
    }

    /// Gives the lines to one shell, one after the other.
    fn paste(lines: Vec<String>, folder: &Path) -> Vec<Step> {
        let mut shell = Command::new("bash");
        shell.arg("--norc").env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        shell.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut shell = shell.spawn().unwrap_or_else(|error| {
            panic!("this test needs bash ({error}): run tests/run, which says what to install");
        });
        let script: String = lines.iter().map(|line| format!("{line}\necho; echo '{END}'\n")).collect();
        shell.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("the shell listens");
        let output = shell.wait_with_output().expect("own process can be waited for");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(complaint, "", "a shell that complains has not understood the README, or lacks curl: run tests/run");
        let printed = String::from_utf8(output.stdout).expect("the output is UTF-8");
        let step = |(line, printed): (String, &str)| Step { line, printed: printed.trim_start().to_owned() };
        lines.into_iter().zip(printed.split(END)).map(step).collect()
    }

    #[tokio::test]
    async fn it_does_what_it_says_on_a_server_without_a_setting() {
        let server = Process::start(&Settings::default());
        let site = format!("http://localhost:{}", server.address().rsplit(':').next().expect("a port"));
        let folder = TempDir::with_prefix("readme-").expect("a folder");
        let steps = paste(lines(&site), folder.path());

        let promised: Vec<&Step> = steps.iter().filter(|step| step.promise().is_some()).collect();
        for step in &promised {
            assert_eq!(Some(step.status()), step.promise(), "{}\n{}", step.line, step.printed);
        }
        let statuses: Vec<&str> = promised.iter().map(|step| step.status()).collect();
        assert_eq!(statuses, ["201", "200", "200", "200", "204", "401", "204"]);

        let [account, _, me, list, ..] = promised.as_slice() else { panic!("seven promises") };
        assert_eq!(account.body()["user"]["email"], "ana@example.org");
        assert_eq!(me.body()["user"], account.body()["user"], "who am I");
        let sessions = list.body()["sessions"].as_array().expect("a list").clone();
        let marked: Vec<&Value> = sessions.iter().filter(|session| session["current"] == true).collect();
        assert_eq!((sessions.len(), marked.len()), (2, 1), "two sessions, this one marked");
        assert_eq!(marked[0]["id"], me.body()["session"]["id"], "in which session");
        let here = fs::read_to_string(folder.path().join("here")).expect("the cookie's file");
        assert!(!here.contains("session"), "signing out takes the cookie away: {here}");
    }

    #[test]
    fn the_first_start_says_where_to_go_and_how_to_make_the_first_administrator() {
        let server = Process::start(&Settings::default());
        let port = server.address().rsplit(':').next().expect("a port").to_owned();
        // The last line comes after the one that the start is known by.
        let said = until_found("the hint", PATIENCE, || {
            Some(server.output()).filter(|said| said.contains("user add you@example.org --role admin"))
        });
        assert!(said.contains(&format!("http://localhost:{port}/")), "{said}");
    }
}
