//! A file as a response. Whatever it is, a browser saves it and runs nothing of it.

use std::{error::Error, fmt::Write, io};

use actix_web::{
    HttpResponse,
    body::SizedStream,
    http::header::{
        CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    },
};
use futures::TryStreamExt;
use repartee_application::ports::ByteStream;
use repartee_domain::files::File;

use super::body::hexadecimal;

pub(super) fn download(file: File, bytes: ByteStream<'static>) -> HttpResponse {
    let content = file.content;
    let bytes = bytes.map_err(|error| {
        let error = io::Error::other(error);
        tracing::error!(error = &error as &dyn Error, "a file breaks off while it is sent");
        error
    });
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, with_charset(&content.media_type)))
        .insert_header((CONTENT_DISPOSITION, disposition(content.name.as_str())))
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"))
        .insert_header((ETAG, format!("\"{}\"", hexadecimal(&content.sha256))))
        // It may be kept, and never shown to somebody who may not see it any more.
        .insert_header((CACHE_CONTROL, "private, no-cache"))
        .body(SizedStream::new(content.bytes, bytes))
}

/// What is text was found to be UTF-8; markup says itself what it is in.
fn with_charset(media_type: &str) -> String {
    match media_type {
        "text/plain" | "text/markdown" | "text/csv" => format!("{media_type}; charset=utf-8"),
        _ => media_type.to_owned(),
    }
}

/// RFC 6266 with the encoding of RFC 8187.
fn disposition(name: &str) -> String {
    name.bytes().fold("attachment; filename*=UTF-8''".to_owned(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_token_whatever_it_holds() {
        for (name, encoded) in [
            ("tea.txt", "tea.txt"),
            ("green tea.pdf", "green%20tea.pdf"),
            ("ชา\";x=1.md", "%E0%B8%8A%E0%B8%B2%22%3Bx%3D1.md"),
            ("100%'.txt", "100%25%27.txt"),
        ] {
            assert_eq!(disposition(name), format!("attachment; filename*=UTF-8''{encoded}"));
        }
    }
}
