"""Texts that an agent may write to harm whoever looks at a page: each must be shown, none may do anything."""

from __future__ import annotations

CORPUS = (
    "<script>window.harmed=1</script>",
    '"><img src=x onerror="window.harmed=1">',
    "'><svg onload=window.harmed=1>",
    "<img src='http://192.0.2.1/x.png'>",
    '<a href="javascript:window.harmed=1">click</a>',
    "javascript:window.harmed=1",
    "</pre></td></tr></table></main><script>window.harmed=1</script>",
    "]]><script>window.harmed=1</script><![CDATA[",
    "--><script>window.harmed=1</script><!--",
    "</title></head><body onload=window.harmed=1>",
    "</svg><foreignObject><iframe src=http://192.0.2.1/></iframe></foreignObject>",
    "<style>*{display:none}</style><link rel=stylesheet href=http://192.0.2.1/x.css>",
    "<meta http-equiv=refresh content='0;url=http://192.0.2.1/'><base href=http://192.0.2.1/>",
    "<form action=http://192.0.2.1/><input name=id><button>send</button></form>",
    "{{ 7 * 7 }}{% for x in ().__class__.__base__.__subclasses__() %}x{% endfor %}{# hidden #}",
    "${7*7} #{7*7} <%= 7*7 %>",
    "\x1b[2J\x1b[31mred\x1b[0m\x1b]8;;http://192.0.2.1/\x1b\\link\x1b]8;;\x1b\\",
    "abc\u202egnp.exe\u202c \u2066hidden\u2069 \u200b\u200e\ufeff",
    "\x00\x01\x08\x7f\x85\u2028\u2029",
    "&lt;script&gt; &#60;b&#62; &amp;amp;",
    "`code` \"quotes\" 'single' back\\slash",
    "<details open ontoggle=window.harmed=1><summary>x</summary></details>",
    "\U000e0041\U000e0042 tag characters",
    "A" * 3000,
    "e\u0301" + "\u0301" * 400,
)
