//! Mails as files, for whoever has no mail server: each is what would have been sent.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use repartee_application::ports::{IdGenerator, Mail, Mailer, PortError};
use tokio::{
    fs::{self, OpenOptions},
    io::AsyncWriteExt,
};

use super::Sender;

/// Links in mails open accounts: nobody else on the machine reads them.
#[cfg(unix)]
const OWNER_ONLY: u32 = 0o600;

pub struct OutboxMailer {
    folder: PathBuf,
    sender: Sender,
    ids: Arc<dyn IdGenerator>,
}

impl OutboxMailer {
    pub fn new(folder: PathBuf, sender: Sender, ids: Arc<dyn IdGenerator>) -> Self {
        Self { folder, sender, ids }
    }
}

#[async_trait]
impl Mailer for OutboxMailer {
    async fn send(&self, mail: &Mail) -> Result<(), PortError> {
        let bytes = self.sender.message(mail)?.formatted();
        let name = self.ids.id();
        let written = self.folder.join(format!("{name}.tmp"));
        let whole = self.folder.join(format!("{name}.eml"));
        let done = async {
            fs::create_dir_all(&self.folder).await?;
            write(&written, &bytes).await?;
            // Whoever looks for mails finds whole ones only.
            fs::rename(&written, &whole).await
        };
        done.await.map_err(|error: io::Error| PortError::Unavailable(error.into()))
    }
}

async fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(OWNER_ONLY);
    let mut file = options.open(path).await?;
    file.write_all(bytes).await?;
    file.sync_all().await
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use repartee_domain::accounts::Email;

    use super::*;
    use crate::system::SystemIds;

    #[tokio::test]
    async fn each_mail_is_a_file_of_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = folder.path().join("outbox");
        let sender = Sender::parse("chat@example.com").unwrap();
        let ids = Arc::new(SystemIds::new().unwrap());
        let mailer = OutboxMailer::new(outbox.clone(), sender, ids);
        let to = Email::parse("ada@example.com").unwrap();
        let mail = Mail { to, subject: "Tea", text: "At five.\n".into() };

        mailer.send(&mail).await.unwrap();
        mailer.send(&mail).await.unwrap();

        let files: Vec<_> = std::fs::read_dir(&outbox).unwrap().map(Result::unwrap).collect();
        assert_eq!(files.len(), 2);
        for file in files {
            assert_eq!(file.path().extension().unwrap(), "eml");
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, OWNER_ONLY);
            let text = std::fs::read_to_string(file.path()).unwrap();
            assert!(text.contains("Subject: Tea\r\n") && text.ends_with("At five.\r\n"), "{text}");
        }
    }
}
