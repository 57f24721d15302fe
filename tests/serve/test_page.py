"""The page in a real browser: by mouse and by keyboard, on a phone, light and dark."""

import re
import shutil
import threading
import time

import pytest
import uvicorn

from recollect.serve.api.app import make_app
from recollect.serve.page.curve import curves
from recollect.serve.page.render import HERE
from recollect.serve.service import Service
from recollect.serve.settings import RefitPolicy, ServeSettings
from recollect.serve.store import keys
from recollect.serve.store.store import open_store

PAGES = ("/", "/try", "/people/{user}", "/items", "/items/{item}", "/service")
NEEDS_NAMES = ("link", "button", "textbox", "radio", "spinbutton", "searchbox")


@pytest.fixture(scope="module")
def address(filled_store, tmp_path_factory):
    """A service at a free port, in a thread of this process."""
    folder = tmp_path_factory.mktemp("page")
    db = folder / "films.db"
    db.write_bytes(filled_store.read_bytes())
    settings = ServeSettings(
        db=str(db), versions=folder / "versions", rate=0, refit=RefitPolicy(enabled=False)
    )
    config = uvicorn.Config(make_app(Service(settings)), port=0, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)

    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium, of dev")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs Chromium: apt-get install chromium chromium-driver")

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,900"):
        options.add_argument(argument)
    service = webdriver.ChromeService(executable_path=driver)
    window = webdriver.Chrome(options=options, service=service)
    yield window
    window.quit()


def find(browser, selector):
    return browser.find_elements("css selector", selector)


def listed(browser):
    # In one step, as the script may replace the list between two.
    return browser.execute_script(
        "return [...document.querySelectorAll('#list [data-entry]')].map(li => li.dataset.entry)"
    )


def wait_until(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def urls(address, films):
    ids = {"user": films.users.ids[0], "item": films.items.ids[0]}
    return [address + path.format(**ids) for path in PAGES]


def test_the_list_changes_as_a_person_rates(browser, address, films):
    browser.get(f"{address}/people/{films.users.ids[1]}")
    before = listed(browser)
    assert len(before) == 10
    n_rated = len(find(browser, "#rated > li"))
    find(browser, "#list fieldset.rate label")[0].click()
    wait_until(lambda: before[0] not in listed(browser))
    assert len(find(browser, "#rated > li")) == n_rated + 1
    assert find(browser, "#list li.new")
    assert "new in the list" in browser.find_element("id", "status").text
    browser.refresh()
    assert before[0] not in listed(browser)
    row = find(browser, f'#rated [data-rated="{before[0]}"]')[0]
    row.find_element("css selector", "[data-remove]").click()
    wait_until(lambda: listed(browser) == before)


def test_a_film_is_rated_by_keyboard_alone_and_the_focus_stays_in_the_list(browser, address, films):
    from selenium.webdriver.common.keys import Keys

    browser.get(f"{address}/people/{films.users.ids[2]}")
    before = listed(browser)
    for _ in range(60):
        active = browser.switch_to.active_element
        if active.get_attribute("type") == "radio":
            break
        (
            active if active.tag_name != "body" else browser.find_element("tag name", "body")
        ).send_keys(Keys.TAB)
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert listed(browser) == before
    browser.switch_to.active_element.send_keys(Keys.SPACE)
    wait_until(lambda: before[0] not in listed(browser))
    focused = "return document.activeElement.closest('#list') !== null"
    wait_until(lambda: browser.execute_script(focused))


def test_a_guest_s_ratings_change_the_list_and_stay_in_the_window(browser, address):
    browser.get(f"{address}/try")
    browser.execute_script("sessionStorage.clear()")
    browser.refresh()
    before = listed(browser)
    assert "Best for everyone" in browser.find_element("id", "list").text
    find(browser, "#list fieldset.rate label:last-of-type")[0].click()
    wait_until(lambda: before[0] not in listed(browser))
    assert "From every rating" in browser.find_element("id", "list").text
    after = listed(browser)
    browser.refresh()
    wait_until(lambda: listed(browser) == after)
    assert len(find(browser, "#rated > li")) == 1


def test_a_new_item_is_added_by_its_text_and_has_a_page(browser, address):
    browser.get(f"{address}/items")
    for name, text in (
        ("item-id", "a/b <c>"),
        ("item-title", "<b>New</b>"),
        ("item-text", "Robots"),
    ):
        browser.find_element("id", name).send_keys(text)
    browser.find_element("css selector", "#new-item button").click()
    wait_until(lambda: browser.current_url != f"{address}/items")
    assert browser.find_element("tag name", "h1").text == "<b>New</b>"
    assert "not learned of this item" in browser.find_element("tag name", "main").text


def named(browser):
    """The role and the name of everything that is used, as a screen reader is told."""
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    return [
        (node["role"]["value"], node.get("name", {}).get("value", "").strip())
        for node in tree
        if not node.get("ignored") and node["role"]["value"] in NEEDS_NAMES
    ]


def test_everything_that_is_used_has_a_name(browser, address, films):
    unnamed = []
    for url in urls(address, films):
        browser.get(url)
        # The tree is made a moment after the page.
        wait_until(lambda: len(named(browser)) > 4)
        unnamed += [(url, role) for role, name in named(browser) if not name]

    assert not unnamed


@pytest.mark.parametrize("width", [320, 390, 1200])
def test_nothing_is_wider_than_the_window(browser, address, films, width):
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wide = []
    for url in urls(address, films):
        browser.get(url)
        needed = browser.execute_script("return document.documentElement.scrollWidth")
        wide += [(url, needed)] if needed > width else []

    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert not wide


def test_no_page_breaks_its_own_rules(browser, address, films):
    """Scripts and styles of other sites, or within the page, would be refused and logged."""
    for url in urls(address, films):
        browser.get(url)
    assert browser.get_log("browser") == []


def luminance(color):
    channels = [int(color[j : j + 2], 16) / 255 for j in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_can_be_read_on_every_ground_light_and_dark():
    """WCAG 2.2, 1.4.3: a contrast of 4.5 and more."""
    css = (HERE / "static" / "page.css").read_text()
    schemes = [
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6})", part)) for part in css.split("@media")[:2]
    ]
    for colors in schemes:
        full = {
            name: value if len(value) == 7 else "#" + "".join(2 * digit for digit in value[1:])
            for name, value in colors.items()
        }
        pairs = [
            (text, ground)
            for text in ("ink", "soft", "accent")
            for ground in ("page", "card", "new")
        ]
        for text, ground in [*pairs, ("on-accent", "accent"), ("page", "problem")]:
            light, dark = sorted((luminance(full[text]), luminance(full[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground, colors)


def test_with_keys_the_page_asks_for_one_and_keeps_it_from_scripts(db, start):
    with open_store(db) as store:
        key = store.write(lambda session: keys.add(session, "mine", "write"))
    client = start()
    assert client.get("/").status_code == 401
    assert client.post("/key", data={"key": "rk_wrong"}).status_code == 401
    answer = client.post("/key", data={"key": key}, follow_redirects=False)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/").status_code == 200
    assert client.put("/v1/users/ann/ratings/x", json={"value": 3}).status_code == 200


def test_titles_and_ids_are_text_whatever_they_hold(client):
    bad = "<script>alert(1)</script>"
    client.put("/v1/items/evil", json={"title": bad, "text": bad, "fields": {"genre": bad}})
    client.put("/v1/users/ann/ratings/evil", json={"value": 5})
    for path in ("/items?search=script", "/items/evil", "/people/ann", "/people/%3Cscript%3E"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert bad not in answer.text
        assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_a_curve_keeps_its_ends_and_its_order():
    [line] = curves({"valid_rmse": [(1, 1.0), (2, 0.75), (3, 0.5)], "train_rmse": []})
    assert line.points == "0.0,0.0 120.0,30.0 240.0,60.0"
    assert (line.first, line.last) == (1.0, 0.5)
