//! The program as a process: its log, its signals, its end.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

/// The state of a listener in `/proc/net/tcp`.
const LISTENING: &str = "0A";
/// Nothing that a test waits for takes longer; nothing hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// Killed when it is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    log: watch::Receiver<Vec<String>>,
    reading: JoinSet<()>,
}

/// Prepares `repartee` with no other environment than `variables`, in `directory`.
pub(super) fn command(
    directory: &Path,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command
        .current_dir(directory)
        .env_clear()
        .envs(variables)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Ok(command)
}

/// The one that was built with this test: beside `deps`, where Cargo puts tests.
fn binary() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let profile = this.ancestors().nth(2).context("a test is in target/PROFILE/deps")?;
    let binary = profile.join("repartee");
    ensure!(
        binary.exists(),
        "there is no server at {}: build it with `cargo build -p repartee-server`",
        binary.display()
    );
    Ok(binary)
}

impl Process {
    pub(super) fn spawn(mut command: Command) -> Result<Self> {
        let mut child = command.spawn().context("the server doesn't start")?;
        let stderr = child.stderr.take().context("the server has no stderr")?;
        let (writer, log) = watch::channel(Vec::new());
        let mut reading = JoinSet::new();
        reading.spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                writer.send_modify(|log| log.push(line));
            }
        });
        Ok(Self { child, log, reading })
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    /// Waits for a line with `text` in it.
    pub(super) async fn logs(&self, text: &str) -> Result<String> {
        let mut log = self.log.clone();
        let find = |log: &Vec<String>| log.iter().find(|line| line.contains(text)).cloned();
        let seen = timeout(PATIENCE, log.wait_for(|log| find(log).is_some())).await;
        match seen {
            Ok(Ok(log)) => find(&log).context("it was there"),
            _ => bail!("the server doesn't say {text:?}; its log:\n{}", self.log().join("\n")),
        }
    }

    pub(super) fn resident_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(self.proc()?.join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib =
            line.and_then(|line| line.split_whitespace().next()).context("no memory figure")?;
        Ok(kib.parse()?)
    }

    /// How many TCP connections to a port it has accepted and not let go of.
    pub(super) fn connections(&self, port: u16) -> Result<usize> {
        let proc = self.proc()?;
        let descriptors = fs::read_dir(proc.join("fd"))?;
        let targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let mine: HashSet<String> = targets.map(|target| target.display().to_string()).collect();
        let sockets = fs::read_to_string(proc.join("net/tcp"))?;
        let is_accepted = |line: &&str| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let [_, local, _, state, .., _] = fields[..] else { return false };
            let Some(inode) = fields.get(9) else { return false };
            let is_of_port = local.ends_with(&format!(":{port:04X}"));
            is_of_port && state != LISTENING && mine.contains(&format!("socket:[{inode}]"))
        };
        Ok(sockets.lines().filter(is_accepted).count())
    }

    fn proc(&self) -> Result<PathBuf> {
        let id = self.child.id().context("the server has ended already")?;
        Ok(Path::new("/proc").join(id.to_string()))
    }

    /// SIGKILL: it gets no chance to tidy up.
    pub(super) async fn kill(&mut self) -> Result<()> {
        self.child.kill().await?;
        self.log_is_read().await;
        Ok(())
    }

    /// SIGTERM, as an orchestrator sends it.
    pub(super) async fn terminate(&self) -> Result<()> {
        let id = self.child.id().context("the server has ended already")?;
        let sent = Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        ensure!(sent.success(), "SIGTERM cannot be sent");
        Ok(())
    }

    pub(super) async fn ended(&mut self) -> Result<ExitStatus> {
        let Ok(status) = timeout(PATIENCE, self.child.wait()).await else {
            bail!("the server doesn't end; its log:\n{}", self.log().join("\n"))
        };
        self.log_is_read().await;
        Ok(status?)
    }

    /// To its last line: who is gone may have left something in the pipe.
    async fn log_is_read(&mut self) {
        while self.reading.join_next().await.is_some() {}
    }
}
