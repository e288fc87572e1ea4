"""Events as the text of messages."""

from hewston_bff.events.event import Event


def event_text(event: Event, n: int, sid: int | None) -> bytes:
    """The `event` message of the stream protocol."""
    if sid is None:
        return b'{"t":"event",%b,"n":%d}' % (event.tail, n)
    return b'{"t":"event","sid":%d,%b,"n":%d}' % (sid, event.tail, n)
