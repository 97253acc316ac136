//! Mails that the server wrote into its outbox.

use std::fs;

use repartee_tests::server::Server;

use super::{WITHIN_A_SECOND, address, eventually};

/// All mails to somebody with this subject, the oldest first.
pub(crate) fn mails_to(server: &Server, name: &str, subject: &str) -> Vec<String> {
    let Ok(folder) = fs::read_dir(server.site.directory().join("outbox")) else {
        return Vec::new();
    };
    let mut files: Vec<_> = folder.map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
    // Their names ascend.
    files.sort();
    let to = format!("To: {}\r\n", address(name));
    let subject = format!("Subject: {subject}\r\n");
    let mails = files.iter().map(|path| fs::read_to_string(path).unwrap());
    mails.filter(|mail| mail.contains(&to) && mail.contains(&subject)).collect()
}

/// Waits for the mail with this number, from 1; later ones may be there already.
pub(crate) async fn mail_to(server: &Server, name: &str, subject: &str, number: usize) -> String {
    let is_there = async || mails_to(server, name, subject).len() >= number;
    eventually(&format!("a mail to {name}: {subject}"), WITHIN_A_SECOND, is_there).await;
    mails_to(server, name, subject).swap_remove(number - 1)
}

/// What a link in a mail ends with: `reset` or `verify`.
pub(crate) fn secret_in(mail: &str, purpose: &str) -> String {
    let mark = format!("/#{purpose}=");
    let (_, rest) = mail.split_once(&mark).unwrap_or_else(|| panic!("no link in {mail}"));
    rest.chars().take_while(char::is_ascii_hexdigit).collect()
}
