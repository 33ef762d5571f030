"""Count the tests that were skipped, and fail where one was skipped for want of a part."""

import sys
from xml.etree import ElementTree

skipped = [
    (case.get("classname", ""), case.get("name", ""), reason.get("message", ""))
    for case in ElementTree.parse(sys.argv[1]).iter("testcase")  # noqa: S314
    for reason in case.iter("skipped")
    if reason.get("type") != "pytest.xfail"
]
print(f"{len(skipped)} tests skipped")  # noqa: T201
for module, name, why in skipped:
    print(f"  {module}.{name}: {why}")  # noqa: T201
if any(why.startswith("NOT TESTED") for _, _, why in skipped):
    sys.exit("A test was skipped for want of a part.")
