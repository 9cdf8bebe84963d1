"""Hostile texts: what has broken pages, tables, terminals, templates, databases and logs elsewhere."""

from __future__ import annotations

_RUN = "window.ran=1"
MARKUP = (
    f"<script>{_RUN}</script>",
    f"<ScRiPt >{_RUN}</sCrIpT>",
    f"</title><script>{_RUN}</script>",
    f"</textarea><script>{_RUN}</script>",
    f"</script><script>{_RUN}</script>",
    f"--><script>{_RUN}</script><!--",
    f"]]><script>{_RUN}</script>",
    f"<img src=x onerror={_RUN}>",
    f"<img/src=`x`onerror={_RUN}>",
    f"<svg onload={_RUN}>",
    f"<svg><script>{_RUN}</script></svg>",
    f"<svg><animate onbegin={_RUN} attributeName=x dur=1s>",
    f"<math><mtext></form><form><mglyph><style></math><img src onerror={_RUN}>",
    f"<body onload={_RUN}>",
    f"<iframe srcdoc='<script>parent.{_RUN.removeprefix('window.')}</script>'>",
    f"<iframe src=javascript:{_RUN}>",
    f"<object data=javascript:{_RUN}>",
    f"<embed src=javascript:{_RUN}>",
    f"<details open ontoggle={_RUN}>",
    f"<input autofocus onfocus={_RUN}>",
    f"<video><source onerror={_RUN}></video>",
    f"<marquee onstart={_RUN}>",
    f"<a href=javascript:{_RUN}>x</a>",
    f"<a href='jav&#x09;ascript:{_RUN}'>x</a>",
    f"<form action=javascript:{_RUN}><button>x</button></form>",
    "<base href=//evil.example/>",
    f"<meta http-equiv=refresh content='0;url=javascript:{_RUN}'>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>@import '//evil.example/x.css'</style>",
    f'"><script>{_RUN}</script>',
    f"'><script>{_RUN}</script>",
    f'" autofocus onfocus={_RUN} x="',
    f"' autofocus onfocus={_RUN} x='",
    f'"onmouseover="{_RUN}',
    f"`onload={_RUN}`",
    f"<div hx-on:load='{_RUN}' hx-trigger=load hx-get=/x></div>",
    f"<div hx-get=/account hx-trigger=load hx-vals='js:{{x:{_RUN}}}'></div>",
    f"<template shadowrootmode=open><script>{_RUN}</script></template>",
    f"<noscript><p title='</noscript><img src=x onerror={_RUN}>'>",
    f"&lt;script&gt;{_RUN}&lt;/script&gt;",
    f"\\u003cscript\\u003e{_RUN}\\u003c/script\\u003e",
    f"javascript:{_RUN}//",
)
TEMPLATES = (
    "{{7*7}}",
    "{{config.items()}}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{x}}{% endfor %}",
    "${7*7}#{7*7}<%= 7*7 %>",
    "{0.__class__.__init__.__globals__}",
    "%s%s%n%x",
)
SHEETS = ("=cmd|'/C calc'!A0", "+1+1", "-2+3", "@SUM(1+1)", '=HYPERLINK("//evil.example","x")')
UNSEEN = (
    "\u202egnp.exe\u202c",
    "\u2066\u2067admin\u2069\u2069",
    "a\u200b\u200c\u200d\ufeffb",
    "аdmіn",
    "ｒｏｏｔ＜script＞",
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!͖̬̰̙̗̿̋ͥͥ̂ͣ̐́́͜͞",
    "\u2028window.ran=1\u2029",
    "😀" * 20,
    "İıſ\u212a",
)
BREAKS = (
    "a\r\nSet-Cookie: session=x",
    "a\nroot signed in",
    "a\tb",
    "\x1b[2J\x1b]0;x\x07",
    "a\0b",
    "\x7f\x80\x9b",
)
WORDS = (
    "' OR '1'='1",
    "'; DROP TABLE booking;--",
    '" UNION SELECT hash FROM token--',
    "../../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "%2e%2e%2f%2e%2e%2f",
    "$(touch x)`touch x`;touch x|touch x",
    "null",
    "-1e309",
    "*",
    "x" * 200,
    "\ud800",
)
PAYLOADS: tuple[str, ...] = (*MARKUP, *TEMPLATES, *SHEETS, *UNSEEN, *BREAKS, *WORDS)
HUGE = "x" * 300_000


def packs(longest: int = 190) -> list[str]:
    """All that a form may carry, joined into as few texts of that length as it takes."""
    found = [""]
    for payload in (text for text in PAYLOADS if text.isprintable() and len(text) <= longest):
        if len(found[-1]) + len(payload) > longest:
            found.append("")
        found[-1] += payload
    return found
