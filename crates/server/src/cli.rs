//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// A self-hosted chat backend: conversations with an AI model, over HTTP and server-sent events.
#[derive(Debug, Parser)]
#[command(name = "repartee", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Subcommand)]
pub enum Command {
    /// Run the server (what happens without a command)
    #[default]
    Serve,
    /// Change the database's schema, or tell its state
    Migrate {
        #[command(subcommand)]
        direction: Migration,
    },
    /// Make an administrator; asks for the password
    CreateAdmin {
        /// Their e-mail address
        #[arg(long)]
        email: String,
        /// Read the password from stdin; without it, `REPARTEE_ADMIN_PASSWORD` is taken where it is set
        #[arg(long)]
        password_stdin: bool,
    },
    /// Take over users of another system, with their password hashes
    ImportUsers {
        /// JSON lines; what is wrong is told before anything is stored
        file: PathBuf,
    },
    /// Print the configuration that is in force, secrets masked
    Config,
    #[command(about = "Print the OpenAPI document")]
    Openapi,
    /// Fetch the files of the models that run in the process
    FetchModels,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Migration {
    /// Bring the schema to this version's
    Up,
    /// Take the last migration back
    Down,
    /// List the migrations, and which are applied
    Status,
}

impl Cli {
    pub fn command(self) -> Command {
        self.command.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split(' ')).map(Cli::command)
    }

    #[test]
    fn the_definition_holds_together() {
        <Cli as CommandFactory>::command().debug_assert();
    }

    #[test]
    fn without_a_command_it_serves() {
        assert_eq!(parse("repartee").unwrap(), Command::Serve);
        assert_eq!(parse("repartee serve").unwrap(), Command::Serve);
    }

    #[test]
    fn each_command_is_known_by_its_name() {
        for (line, command) in [
            ("repartee migrate up", Command::Migrate { direction: Migration::Up }),
            ("repartee migrate down", Command::Migrate { direction: Migration::Down }),
            ("repartee migrate status", Command::Migrate { direction: Migration::Status }),
            ("repartee config", Command::Config),
            (
                "repartee create-admin --email root@example.com --password-stdin",
                Command::CreateAdmin { email: "root@example.com".into(), password_stdin: true },
            ),
            ("repartee import-users u.jsonl", Command::ImportUsers { file: "u.jsonl".into() }),
            ("repartee openapi", Command::Openapi),
            ("repartee fetch-models", Command::FetchModels),
        ] {
            assert_eq!(parse(line).unwrap(), command);
        }
    }

    #[test]
    fn what_is_unknown_exits_with_2_and_a_question_for_help_with_0() {
        for line in [
            "repartee sing",
            "repartee migrate",
            "repartee migrate sideways",
            "repartee create-admin",
            "repartee create-admin --email a@example.com --password hunter2",
            "repartee import-users",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
        for line in ["repartee --help", "repartee --version"] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 0, "{line}");
        }
    }
}
