//! `traceparent` of W3C Trace Context, <https://www.w3.org/TR/trace-context/#traceparent-header>.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// The header's name.
pub const HEADER: &str = "traceparent";
/// `00-` trace id `-` span id `-` flags.
const LENGTH: usize = 55;

pub(crate) fn write(span: &SpanContext) -> Option<String> {
    span.is_valid().then(|| {
        let flags = span.trace_flags() & TraceFlags::SAMPLED;
        format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), flags.to_u8())
    })
}

/// A later version may be longer and is read as far as version 00 goes; anything else that is not exact is refused.
pub(crate) fn read(text: &str) -> Option<SpanContext> {
    let (head, rest) = text.split_at_checked(LENGTH)?;
    let mut parts = head.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lengths = (version.len(), trace.len(), span.len(), flags.len());
    let fits = match version {
        "ff" => false,
        "00" => rest.is_empty(),
        _ => rest.is_empty() || rest.starts_with('-'),
    };
    let hex = head.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    if !fits || !hex || lengths != (2, 32, 16, 2) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let trace = TraceId::from_hex(trace).ok()?;
    let context = SpanContext::new(trace, SpanId::from_hex(span).ok()?, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn reads_what_it_writes() {
        let read_back = read(GOOD).unwrap();
        assert!(read_back.is_sampled() && read_back.is_remote());
        assert_eq!(write(&read_back).unwrap(), GOOD);
        assert!(!read(&GOOD.replace("-01", "-00")).unwrap().is_sampled());
        assert_eq!(write(&SpanContext::NONE), None);
    }

    #[test]
    fn a_later_version_may_be_longer_and_nothing_else() {
        assert!(read(&format!("{}-more", GOOD.replacen("00", "01", 1))).is_some());
        for odd in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}-more"),
            &format!("{GOOD}x"),
            &GOOD.replacen("00", "ff", 1),
            &GOOD.to_uppercase(),
            &GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
            &GOOD.replace("b7ad6b7169203331", "b7ad6b716920333g"),
            &GOOD.replace('-', "0"),
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333\u{e9}-01",
        ] {
            assert!(read(odd).is_none(), "{odd}");
        }
    }
}
