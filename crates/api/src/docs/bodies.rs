//! Which bodies may be left out: no body at all is an empty object.

use std::collections::BTreeSet;

use utoipa::{
    Modify,
    openapi::{
        OpenApi, RefOr, Required, Schema,
        path::{Operation, PathItem},
    },
};

/// Says of a body without a required field that it may be left out.
pub(super) struct OptionalBodies;

impl Modify for OptionalBodies {
    fn modify(&self, document: &mut OpenApi) {
        let schemas = document.components.iter().flat_map(|components| &components.schemas);
        let optional: BTreeSet<_> = schemas
            .filter(|(_, schema)| {
                matches!(schema, RefOr::T(Schema::Object(object)) if object.required.is_empty())
            })
            .map(|(name, _)| format!("#/components/schemas/{name}"))
            .collect();
        for item in document.paths.paths.values_mut() {
            let PathItem { get, put, post, delete, patch, .. } = item;
            for operation in [get, put, post, delete, patch].into_iter().flatten() {
                relax(operation, &optional);
            }
        }
    }
}

fn relax(operation: &mut Operation, optional: &BTreeSet<String>) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    let may_be_empty = body.content.values().all(|content| {
        matches!(content, RefOr::T(content) if matches!(&content.schema,
            Some(RefOr::Ref(schema)) if optional.contains(&schema.ref_location)))
    });
    if may_be_empty {
        body.required = Some(Required::False);
    }
}
