"""A real browser that looks at pages and tells what ran in them and what their policy had to stop."""

from __future__ import annotations

from dataclasses import dataclass, field

from playwright.sync_api import Browser, BrowserContext, Dialog, Page

from tests.security.world import World
from tests.support.served import served

_WATCH = """window.stopped = [];
document.addEventListener('securitypolicyviolation', e => stopped.push(`${e.violatedDirective} ${e.blockedURI}`))"""
_STRANGE = """[...document.querySelectorAll('*')].filter(node =>
    ['IFRAME', 'OBJECT', 'EMBED', 'BASE', 'MARQUEE', 'MATH', 'VIDEO', 'STYLE'].includes(node.tagName)
    || (node.tagName === 'SCRIPT' && !new URL(node.src || 'x:').pathname.startsWith('/static/'))
    || (node.tagName === 'META' && node.httpEquiv === 'refresh')
    || [...node.attributes].some(a => /^on|^hx-on/.test(a.name)
        || (/^(href|src|action|data|formaction|xlink:href)$/.test(a.name) && /^\\s*javascript:/i.test(a.value)))
).map(node => node.outerHTML.slice(0, 120))"""


@dataclass
class Seen:
    """What the browser saw."""

    pages: int = 0
    forms: int = 0
    ran: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    """What the policy of the pages had to stop: a second line of defence that nothing may need."""
    strange: list[str] = field(default_factory=list)
    """Elements that only a text could have brought."""
    faults: list[str] = field(default_factory=list)


def look(world: World, browser: Browser, paths: dict[str, list[str]], texts: list[str]) -> Seen:
    """Every path as its reader, then every form of these pages sent with a hostile text in each field."""
    seen = Seen()
    with served(world.app) as url:
        for name, addresses in paths.items():
            context = browser.new_context(locale="en-GB")
            try:
                _look_as(world, context, url, name, addresses, seen)
                if texts:
                    _send_forms(context.pages[0], url, addresses, texts, seen)
            finally:
                context.close()
    return seen


def _look_as(
    world: World, context: BrowserContext, url: str, name: str, addresses: list[str], seen: Seen
) -> None:
    if name:
        key, _, value = world.sign_in(name).cookie.partition("=")
        context.add_cookies([{"name": key, "value": value, "url": url}])
    context.set_default_timeout(60000)
    context.add_init_script(_WATCH)
    page = context.new_page()
    page.on("dialog", lambda dialog: _dialog(seen, dialog))
    page.on("pageerror", lambda error: seen.faults.append(str(error)))
    for address in addresses:
        page.goto(url + address)
        _judge(page, address, seen)


def _dialog(seen: Seen, dialog: Dialog) -> None:
    seen.ran.append(f"a dialog: {dialog.message}")
    dialog.dismiss()


def _judge(page: Page, address: str, seen: Seen) -> None:
    seen.pages += 1
    where = address[:60]
    if page.evaluate("window.ran === 1"):
        seen.ran.append(where)
    seen.stopped += [f"{where}: {entry}" for entry in page.evaluate("window.stopped || []")]
    seen.strange += [f"{where}: {entry}" for entry in page.evaluate(_STRANGE)]


_FORMS = "[...document.forms].filter(f => f.method === 'post' && !f.action.endsWith('/logout'))"
_PLACES = f"{_FORMS}.map(form => form.getAttribute('action'))"
_SEND = f"""([action, text]) => {{
    const form = {_FORMS}.find(f => f.getAttribute('action') === action);
    for (const e of form.elements)
        if (['text', 'search', 'url', 'password', 'textarea'].includes(e.type)) {{
            e.maxLength = 100000; e.value = text;
        }}
    HTMLFormElement.prototype.submit.call(form);
}}"""
_ENDS_IT = ("cancel", "confirm", "try", "end")


def _send_forms(page: Page, url: str, addresses: list[str], texts: list[str], seen: Seen) -> None:
    """Each form once for each place that it leads to; ids in an address are one place."""
    known: set[str] = set()
    for address in addresses:
        page.goto(url + address)
        for action in page.evaluate(_PLACES):
            place = "/".join(part for part in action.split("/") if len(part) < 20)
            if place in known or place.endswith(_ENDS_IT):
                continue
            page.goto(url + address)
            if action not in page.evaluate(_PLACES):
                continue  # what was sent before has taken it away
            with page.expect_navigation():
                page.evaluate(_SEND, [action, texts[len(known) % len(texts)]])
            _judge(page, f"the form {action}", seen)
            known.add(place)
    seen.forms += len(known)
