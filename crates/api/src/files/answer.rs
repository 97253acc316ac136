//! A file as a response. Whatever it is, a browser saves it and runs nothing of it.

use std::{error::Error, io};

use actix_web::{
    HttpResponse,
    body::SizedStream,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG},
};
use futures::TryStreamExt;
use repartee_application::ports::ByteStream;
use repartee_domain::files::File;

use super::body::hexadecimal;
use crate::attachment::attachment;

pub(super) fn download(file: File, bytes: ByteStream<'static>) -> HttpResponse {
    let content = file.content;
    let bytes = bytes.map_err(|error| {
        let error = io::Error::other(error);
        tracing::error!(error = &error as &dyn Error, "a file breaks off while it is sent");
        error
    });
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, with_charset(&content.media_type)))
        .insert_header(attachment(content.name.as_str()))
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
