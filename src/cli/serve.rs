//! `sessiond`: serve.
//!
//! Owns the startup messages. The server itself does the serving.

use std::io::Write;
use std::path::Path;

use crate::config::{Config, Database, absolute};
use crate::server::{Parts, Server};

use super::failure::Failure;
use super::output::Output;

/// Serves until asked to stop.
pub async fn serve(config: Config, out: &mut Output<impl Write>) -> Result<(), Failure> {
    let greeting = Greeting::of(&config, std::env::args().next());
    let server = Server::build(config, Parts::default()).await?;
    let mut said =
        vec![format!("sessiond serves {}/ (listening on http://{}).", greeting.public_url, server.address())];
    // If the node cannot ask now because its clock is wrong, it serves all the same and tells every client.
    if matches!(server.app().users.has_administrator().await, Ok(false)) {
        said.push(format!("There is no administrator yet. Create one in another terminal{}:", greeting.with));
        said.push(format!("    {}", greeting.first_admin));
    }
    // There may be no reader; the server starts all the same.
    let _unread = said.iter().try_for_each(|line| out.line(line));
    Ok(server.run().await?)
}

/// The startup messages, prepared before the server takes the configuration.
struct Greeting {
    public_url: String,
    /// What a second terminal needs besides the command.
    with: &'static str,
    first_admin: String,
}

impl Greeting {
    fn of(config: &Config, program: Option<String>) -> Self {
        let program = program.unwrap_or_else(|| "sessiond".to_owned());
        // An absolute path, so that the second terminal finds it from any folder; a bare name is found as this one was.
        let program = if program.contains('/') { absolute(Path::new(&program)) } else { program };
        let (with, database) = match &config.database {
            Database::Sqlite { path } => {
                ("", format!(" --database-url {}", quoted(&format!("sqlite://{}", absolute(path)))))
            }
            // Its address may contain a password, which must not be in a command line.
            #[cfg(feature = "postgres")]
            Database::Postgres { .. } => (", with the same DATABASE_URL in its environment", String::new()),
        };
        let first_admin = format!("{} user add you@example.org --role admin{database}", quoted(&program));
        Self { public_url: config.public_url(), with, first_admin }
    }
}

/// Quotes a word for the shell if necessary.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-:@+=%,".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn first_admin(database_url: Option<&str>, program: &str) -> String {
        let settings = database_url.map(|url| ("DATABASE_URL", url)).into_iter().collect::<Settings>();
        Greeting::of(&Config::try_from(settings).unwrap(), Some(program.to_owned())).first_admin
    }

    #[test]
    fn the_first_administrator_is_one_command_away_from_wherever_it_is_typed() {
        let here = std::env::current_dir().unwrap().display().to_string();
        let plain = "sessiond user add you@example.org --role admin --database-url";
        assert_eq!(first_admin(None, "sessiond"), format!("{plain} sqlite://{here}/sessiond.db"));
        let of_file = format!("{here}/target/debug/{plain} sqlite:///var/lib/s.db");
        assert_eq!(first_admin(Some("sqlite:///var/lib/s.db"), "target/debug/sessiond"), of_file);
        let quoted = format!(r"{plain} 'sqlite://{here}/it'\''s.db'");
        assert_eq!(first_admin(Some("sqlite://it's.db"), "sessiond"), quoted);
    }
}
