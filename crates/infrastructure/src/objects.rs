//! Where the bytes of files are kept.

mod local;
mod s3;

pub use self::{
    local::LocalObjectStore,
    s3::{InvalidS3Settings, S3ObjectStore, S3Settings},
};
