//! One contract suite for the object stores: a folder, and a bucket of a server that speaks S3.

#![cfg(test)]

mod contract;
mod local;
mod s3;
