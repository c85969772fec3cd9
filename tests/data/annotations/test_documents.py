import json
import time

import pytest

from kseg.data.annotations.documents import read_document, recognize
from kseg.data.annotations.places import Place


@pytest.fixture
def read(tmp_path):
    def read(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_document(path, Place(name))

    return read


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_json_in_any_encoding_of_unicode(read, encoding):
    content = json.dumps({"label": "Größe 車"}, ensure_ascii=False).encode(encoding)
    assert read("a.json", content).value == {"label": "Größe 車"}


def test_latin_1_is_refused_with_the_line(read):
    content = '{"a": 1,\n "label": "Größe"}'.encode("latin-1")
    with pytest.raises(ValueError, match=r"a\.json: .*UTF-8.*byte 0xf6 in line 2"):
        read("a.json", content)
    with pytest.raises(ValueError, match=r"a\.csv: .*UTF-8.*byte 0xf6 in line 2"):
        read("a.csv", content)


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", '{"shapes": [', '{"a": 1,}', "not json", "\0\0\0\0"),
        *('{"a": "\n"}', "[" * 100_000, '{"a": ' * 100_000, "1" * 5000 + "0"),
    ],
)
def test_json_that_is_cut_off_or_too_deep_is_named(read, content):
    with pytest.raises(ValueError, match=r"^a\.json: The file must be "):
        read("a.json", content)


def test_broken_json_tells_line_and_column(read):
    with pytest.raises(ValueError, match="line 2 column 3"):
        read("a.json", '{"a":\n  ?}')


def test_json_lines_and_an_array_are_the_same(read):
    rows = [{"a": 1}, {"a": 2}]
    lines = "\n".join(map(json.dumps, rows)) + "\n\n"
    assert read("a.ndjson", lines).value == rows
    assert read("b.json", lines).value == rows
    assert read("c.ndjson", json.dumps(rows)).value == rows


def test_broken_line_is_named(read):
    with pytest.raises(ValueError, match=r"a\.ndjson: .*line 3"):
        read("a.ndjson", '{"a": 1}\n{"a": 2}\n{"a": \n')


BOMB = """<?xml version="1.0"?>
<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">%s]>
<annotations><image name="&z;"/></annotations>"""


@pytest.mark.parametrize(
    "text",
    [
        BOMB % "".join(f'<!ENTITY {b} "{f"&{a};" * 99}">' for a, b in zip("ayxw", "yxwz", strict=True)),
        '<!DOCTYPE x [<!ENTITY z SYSTEM "file:///etc/passwd">]><annotations>&z;</annotations>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd"><annotations/>',
    ],
    ids=["billion laughs", "external entity", "external type"],
)  # fmt: skip
def test_entities_are_refused_at_once(read, text):
    start = time.perf_counter()
    with pytest.raises(
        ValueError, match=r"^a\.xml: .*no document type and no entities"
    ):
        read("a.xml", text)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"<annotations>", b"<a></b>", b"text", b"<a>\xff</a>", b"<a>\0</a>"),
        b'<?xml version="1.0" encoding="no-such-code"?><a/>',
    ],
)
def test_broken_xml_is_named(read, content):
    with pytest.raises(ValueError, match=r"^a\.xml: The file must be whole XML"):
        read("a.xml", content)


def test_xml_in_the_encoding_that_it_states(read):
    text = '<?xml version="1.0" encoding="{}"?><a n="Größe"/>'
    for encoding in ("latin-1", "utf-8", "utf-16"):
        content = text.format(encoding).encode(encoding)
        assert read("a.xml", content).get("n") == "Größe"


def test_csv_with_quotes_and_a_cell_of_a_megabyte(read):
    long = "1" * 1_000_000
    rows = read("a.csv", f'a,"b ""q"", c"\r\n"{long}","x\ny"\r\n').value
    assert rows == [["a", 'b "q", c'], [long, "x\ny"]]


def test_csv_with_an_open_quote_is_named(read):
    with pytest.raises(ValueError, match=r"^a\.csv: The file must be whole CSV"):
        read("a.csv", 'a,"b\n')


@pytest.mark.parametrize(
    ("name", "text", "tool"),
    [
        ("a.json", '{"shapes": []}', "labelme"),
        ("a.json", '{"images": [], "annotations": [], "categories": []}', "coco"),
        ("a.json", '{"_via_img_metadata": {}}', "via"),
        ("a.json", '{"a.jpg1": {"filename": "a.jpg", "regions": []}}', "via"),
        ("a.json", '{"file": {}, "metadata": {}, "attribute": {}}', "via"),
        ("a.json", '[{"Labeled Data": ""}]', "labelbox"),
        ("a.json", '{"dataRow": {}}\n{"dataRow": {}}', "labelbox"),
        ("a.json", '{"data_row": {}}', "labelbox"),
        ("a.xml", "<annotations/>", "cvat"),
        ("a.xml", "<annotation/>", "rectlabel"),
        ("a.csv", "filename,region_shape_attributes\n", "via"),
        ("a.csv", "# Exported\n# CSV_HEADER = a\n", "via"),
        *(("a.json", text, None) for text in ("{}", "[]", "5", "null", '["a"]')),
        *(("a.json", text, None) for text in ('"shapes"', "[[1]]", '{"a": 1}', "[{}]")),
        ("a.csv", "id,name\n1,x\n", None),
        ("a.csv", "", None),
        ("a.xml", "<svg/>", None),
    ],
)
def test_tool_is_told_by_content(read, name, text, tool):
    assert recognize(read(name, text)) == tool
