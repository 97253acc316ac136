//! Personas: the catalogue, and conversations with them.

mod catalogue;
mod conversing;
