//! What administrators say of users, on the wire.

use repartee_application::accounts::{AccountChanges, NewUser};
use repartee_domain::accounts::{ProfileChanges, Role};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::ApiError;

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"email": "grace@example.com", "role": "manager"}))]
pub(crate) struct NewUserBody {
    email: String,
    /// Without one, a link to choose it is mailed.
    password: Option<String>,
    username: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    /// A BCP 47 language tag.
    language: Option<String>,
    /// `user` (where it is left out), `manager` or `admin`.
    role: Option<String>,
    is_active: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"role": "manager", "is_active": true}))]
pub(crate) struct AccountBody {
    email: Option<String>,
    /// `user`, `manager` or `admin`.
    role: Option<String>,
    is_active: Option<bool>,
}

pub(super) fn role(text: &str) -> Result<Role, ApiError> {
    Role::assignable(text).map_err(|error| ApiError::invalid("role", "invalid", error.to_string()))
}

impl TryFrom<NewUserBody> for NewUser {
    type Error = ApiError;

    fn try_from(body: NewUserBody) -> Result<Self, ApiError> {
        Ok(Self {
            email: body.email,
            password: body.password.map(Into::into),
            profile: ProfileChanges {
                username: body.username.map(Some),
                first_name: body.first_name.map(Some),
                last_name: body.last_name.map(Some),
                language: body.language.map(Some),
                preferences: None,
            },
            role: body.role.as_deref().map_or(Ok(Role::User), role)?,
            is_active: body.is_active.unwrap_or(true),
        })
    }
}

impl TryFrom<AccountBody> for AccountChanges {
    type Error = ApiError;

    fn try_from(body: AccountBody) -> Result<Self, ApiError> {
        Ok(Self {
            email: body.email,
            role: body.role.as_deref().map(role).transpose()?,
            is_active: body.is_active,
        })
    }
}
