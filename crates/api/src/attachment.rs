//! What a browser saves instead of showing it.

use actix_web::http::header::{
    Charset, ContentDisposition, DispositionParam, DispositionType, ExtendedValue,
};

/// RFC 6266: a name in ASCII for whoever knows no other, and the whole one.
pub(crate) fn attachment(name: &str) -> ContentDisposition {
    let plain = name.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    let mut parameters = vec![DispositionParam::Filename(plain)];
    if !name.is_ascii() {
        parameters.push(DispositionParam::FilenameExt(ExtendedValue {
            charset: Charset::Ext("UTF-8".to_owned()),
            language_tag: None,
            value: name.as_bytes().to_vec(),
        }));
    }
    ContentDisposition { disposition: DispositionType::Attachment, parameters }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_parameter_whatever_it_holds() {
        for (name, parameters) in [
            ("tea.txt", r#"filename="tea.txt""#),
            (r#"a";x=1\b.md"#, r#"filename="a\";x=1\\b.md""#),
            ("ชา;.md", "filename=\"__;.md\"; filename*=UTF-8''%E0%B8%8A%E0%B8%B2%3B.md"),
        ] {
            assert_eq!(attachment(name).to_string(), format!("attachment; {parameters}"));
        }
    }
}
