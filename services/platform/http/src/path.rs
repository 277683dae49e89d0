//! Paths are written in one way.
//!
//! The router reads `/api/v1/%61dmin` as `/api/v1/admin`. Whatever else goes by how a path begins (where staff may come from,
//! whose home a request has, limits) would see another path than the handler's.

use actix_web::{
    dev::ServiceRequest,
    http::{Uri, uri::PathAndQuery},
};
use kernel::{Failure, Result, code};

/// Rewrites the path of `req` so that no character stands escaped which may stand as it is (RFC 3986, section 2.3: the two
/// mean the same). The query stays. `request.malformed` where a percent sign begins no escape: what is decoded behind it
/// could make it one.
pub(crate) fn settle(req: &mut ServiceRequest) -> Result<()> {
    let Some(path) = settled(req.path())? else { return Ok(()) };
    let target = match req.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = req.uri().clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(|_| malformed())?);
    let uri = Uri::from_parts(parts).map_err(|_| malformed())?;
    req.match_info_mut().get_mut().update(&uri);
    req.head_mut().uri = uri;
    Ok(())
}

/// The path in its one form; none where it has it. Nothing is decoded twice, and nothing grows.
fn settled(path: &str) -> Result<Option<String>> {
    if !path.contains('%') {
        return Ok(None);
    }
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let (digits, behind) = after.split_at_checked(2).ok_or_else(malformed)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(malformed());
        }
        match u8::from_str_radix(digits, 16).map(char::from) {
            Ok(plain) if plain.is_ascii_alphanumeric() || "-._~".contains(plain) => out.push(plain),
            _ => {
                out.push('%');
                out.push_str(digits);
            }
        }
        rest = behind;
    }
    out.push_str(rest);
    Ok((out != path).then_some(out))
}

fn malformed() -> Failure {
    Failure::new(code::MALFORMED).detail("the path has a percent sign that begins no escape")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_stand_as_it_is_does_and_nothing_is_decoded_twice() {
        for (sent, one) in [
            ("/api/v1/%61dmin/things", "/api/v1/admin/things"),
            ("/%2Ewell%2dknown/%7e%5F", "/.well-known/~_"),
            ("/%6Frders/%6frd_1", "/orders/ord_1"),
            ("/a%2561", "/a%2561"),
            ("/100%25", "/100%25"),
            ("/%C3%A9%2F%00%3f%25%41", "/%C3%A9%2F%00%3f%25A"),
            ("/plain", "/plain"),
            ("", ""),
        ] {
            let settled_once = settled(sent).unwrap().unwrap_or_else(|| sent.to_owned());
            assert_eq!(settled_once, one, "{sent}");
            assert_eq!(settled(&settled_once).unwrap(), None, "{sent}");
        }
    }

    #[test]
    fn a_percent_sign_that_begins_no_escape_is_refused() {
        for odd in ["/100%", "/100%2", "/a%%361", "/a%+1", "/a%g1", "/%\u{e9}\u{e9}"] {
            assert!(settled(odd).unwrap_err().is(code::MALFORMED), "{odd}");
        }
    }
}
