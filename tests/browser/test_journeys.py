"""What a user does in the web UI, from signing in to reading a log, in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from browser.conftest import Site
from harness import until

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser")]

Picture = Callable[[Page, str], None]
EVALUATE = "exit-handler-1/evaluate"


def test_a_sign_in_link_works_once_and_is_needed(browser: Browser, site: Site) -> None:
    link = site.sign_in_link()
    first = browser.new_context().new_page()
    first.goto(link)
    expect(first.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    second = browser.new_context().new_page()
    second.goto(link)
    expect(second.get_by_role("heading", name="Runs", exact=True)).to_have_count(0)
    second.goto(f"{site.url}/runs")
    expect(second.get_by_text("headrace ui")).to_be_visible()
    # A session that ends while the page is open.
    first.context.clear_cookies()
    first.get_by_role("searchbox").fill("x")
    expect(first.get_by_text("You are not signed in")).to_be_visible()
    first.context.close()
    second.context.close()


def test_a_browser_signs_itself_and_another_one_out(browser: Browser, site: Site) -> None:
    first, second = browser.new_context().new_page(), browser.new_context().new_page()
    for page in (first, second):
        page.goto(site.sign_in_link())
        expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
        assert "secret" not in page.url
    first.get_by_role("link", name="Sign out").click()
    # Newest first, and this browser is the older one.
    expect(first.get_by_role("listitem").nth(1)).to_contain_text("This browser")
    first.get_by_role("listitem").nth(0).get_by_role("button", name="Sign out").click()
    second.goto(f"{site.url}/runs")
    expect(second.get_by_role("heading", name="Sign in to Headrace")).to_be_visible()
    own = first.get_by_role("listitem").filter(has_text="This browser")
    own.get_by_role("button", name="Sign out").click()
    expect(first.get_by_text("You are not signed in")).to_be_visible()
    first.context.close()
    second.context.close()


def test_the_list_finds_runs_and_keeps_the_search_in_the_address(
    page: Page, site: Site, finished: str, failed: str, picture: Picture
) -> None:
    row = page.locator(f"[data-run='{finished}']")
    expect(row).to_contain_text("Succeeded")
    expect(row).to_contain_text("tour")
    expect(row.get_by_role("img", name=re.compile("9 succeeded"))).to_be_visible()
    picture(page, "runs")
    page.get_by_role("button", name="Failed", exact=True).click()
    expect(page.locator(f"[data-run='{failed}']")).to_be_visible()
    expect(row).to_have_count(0)
    expect(page).to_have_url(re.compile("state=FAILED"))
    page.get_by_role("button", name="All", exact=True).click()
    page.get_by_role("searchbox").fill("tour of")
    expect(row).to_be_visible()
    expect(page.locator(f"[data-run='{failed}']")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value("tour of")
    expect(row).to_be_visible()
    page.get_by_role("searchbox").fill("no such run")
    expect(page.get_by_text("No matching runs")).to_be_visible()


def test_a_run_is_archived_and_unarchived(page: Page, site: Site) -> None:
    # The name must not hold the word of the button: `Terminate NAME` would be found in its place.
    run_id = site.tour("To be put away")
    row = page.locator(f"[data-run='{run_id}']")
    row.get_by_role("button", name=re.compile("^Archive:")).click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Archived").click()
    row.get_by_role("button", name="Unarchive").click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="All", exact=True).click()
    expect(row).to_be_visible()


def test_a_run_is_watched_without_reloading(page: Page, site: Site, tmp_path: Path, picture: Picture) -> None:
    gate = tmp_path / "gate"
    run_id = site.run("tour", "Watched live", gate=str(gate))
    # 1. It appears in the open list by itself.
    row = page.locator(f"[data-run='{run_id}']")
    expect(row).to_contain_text("Running")
    row.get_by_role("link").click()
    page.evaluate("window.sameDocument = true")
    header = page.get_by_role("region", name="Run", exact=True)
    expect(header).to_contain_text("Running")
    page.wait_for_url(f"**/runs/{run_id}")
    # 2. The log of what runs comes line by line.
    page.get_by_role("tab", name="Tasks").click()
    expect(page.get_by_role("tab", name="Tasks")).to_have_attribute("aria-selected", "true")
    page.get_by_role("button", name=re.compile("^watch")).click()
    page.get_by_role("tab", name="Logs").click()
    log = page.get_by_role("log")
    expect(log).to_contain_text("looked 5 times")
    line = int(re.findall(r"looked (\d+) times", log.inner_text())[-1])
    expect(log).to_contain_text(f"looked {line + 10} times")
    page.get_by_role("tab", name="Graph").click()
    expect(page.get_by_role("img", name=re.compile("running"))).to_be_visible()
    picture(page, "live")
    # 3. It ends, and everything on the page says so.
    gate.touch()
    expect(log).to_contain_text("the gate is open")
    expect(header).to_contain_text("Succeeded")
    expect(page.get_by_role("img", name=re.compile("Graph of 7 tasks: 9 succeeded"))).to_be_visible()
    assert page.evaluate("window.sameDocument"), "the page was loaded again"


def test_a_run_is_terminated_and_retried(page: Page, site: Site, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    run_id = site.run("tour", "Terminated", gate=str(gate))
    page.goto(f"{site.url}/runs/{run_id}")
    page.get_by_role("button", name="Terminate").click()
    header = page.get_by_role("region", name="Run", exact=True)
    expect(header).to_contain_text("Canceled")
    gate.touch()
    page.get_by_role("button", name="Retry").click()
    expect(header).to_contain_text("Succeeded")


def test_a_run_is_paused_and_resumed(page: Page, site: Site, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    run_id = site.run("gated", "Paused", gate=str(gate))
    page.goto(f"{site.url}/runs/{run_id}")
    page.get_by_role("button", name="Pause").click()
    header = page.get_by_role("region", name="Run", exact=True)
    expect(header).to_contain_text("Paused")
    page.get_by_role("button", name="Resume").click()
    expect(header).to_contain_text("Running")
    gate.touch()
    expect(header).to_contain_text("Succeeded")


def test_a_run_is_re_run_from_a_task(page: Page, site: Site, finished: str, picture: Picture) -> None:
    page.goto(f"{site.url}/runs/{finished}?task=exit-handler-1/evaluate")
    page.get_by_role("button", name="Re-run from here").click()
    form = page.get_by_role("form", name="Re-run from here")
    form.get_by_label("threshold").fill("none")
    form.get_by_role("button", name="Re-run", exact=True).click()
    expect(form.get_by_role("alert")).to_contain_text("none is not valid JSON")
    form.get_by_label("threshold").fill("0.9")
    form.get_by_role("button", name="Re-run", exact=True).click()
    header = page.get_by_role("region", name="Run", exact=True)
    expect(header).to_contain_text(f"{finished[:8]} from exit-handler-1/evaluate")
    expect(header).to_contain_text("Succeeded")
    page.get_by_role("tab", name="Tasks").click()
    expect(page.get_by_role("button", name=re.compile("^load"))).to_contain_text("reused")
    expect(page.get_by_role("button", name=re.compile("^evaluate"))).not_to_contain_text("reused")
    picture(page, "re-run")


def test_a_task_is_marked_as_succeeded(page: Page, site: Site, tmp_path: Path, picture: Picture) -> None:
    run_id = site.run("gated", "Marked", gate=str(tmp_path / "gate"))
    page.goto(f"{site.url}/runs/{run_id}?task=watch")
    page.get_by_role("button", name="Mark as succeeded or skipped").click()
    form = page.get_by_role("form", name="Mark as succeeded or skipped")
    form.get_by_label("Note").fill("seen enough")
    picture(page, "mark")
    form.get_by_role("button", name="Mark as succeeded", exact=True).click()
    expect(page.get_by_role("complementary")).to_contain_text("seen enough")
    expect(page.get_by_role("region", name="Run", exact=True)).to_contain_text("Succeeded")


def test_the_graph_responds_to_pointer_and_keys(page: Page, site: Site, finished: str, picture: Picture) -> None:
    page.goto(f"{site.url}/runs/{finished}")
    graph = page.get_by_role("img", name=re.compile("^Graph of 7 tasks"))
    expect(graph).to_be_visible()
    until(lambda: page.evaluate("performance.getEntriesByName('headrace:graph').length > 0"), "the graph is drawn")
    picture(page, "graph")
    # The group that holds nearly all of it begins in the middle of the top.
    box = graph.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 40)
    expect(page).to_have_url(re.compile("task=exit-handler-1"))
    graph.focus()
    page.keyboard.press("ArrowDown")
    expect(page).to_have_url(re.compile("task=exit-handler-1(%2F|/)"))
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("task="))
    page.keyboard.press("/")
    page.get_by_role("textbox", name="Find a task").fill("eval")
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary", name="Task evaluate")).to_be_visible()
    page.get_by_role("button", name="Collapse all groups").click()
    expect(page).to_have_url(re.compile("closed="))


def test_loops_show_one_iteration_or_all(page: Page, site: Site, finished: str, picture: Picture) -> None:
    page.goto(f"{site.url}/runs/{finished}?task=exit-handler-1/for-loop-2&panel=iterations")
    page.get_by_role("complementary").get_by_role("button", name="#1 depth=9").click()
    expect(page).to_have_url(re.compile("loops="))
    picture(page, "loop")
    page.goto(f"{site.url}/runs/{finished}?task=exit-handler-1/for-loop-2[1]/train")
    panel = page.get_by_role("complementary", name="Task train")
    expect(panel).to_contain_text("#1 · depth=9")
    panel.get_by_role("button", name="Next iteration").click()
    expect(panel).to_contain_text("3 of 3")
    expect(page).to_have_url(re.compile(r"for-loop-2(\[|%5B)2"))


def test_a_failure_is_explained_at_the_top_of_the_page(page: Page, site: Site, failed: str, picture: Picture) -> None:
    page.goto(f"{site.url}/runs/{failed}")
    why = page.get_by_role("region", name="Why this run failed")
    expect(why).to_contain_text("train (#1 · depth=99")
    expect(why).to_contain_text("depth 99 is too deep")
    expect(why).to_contain_text("USER_EXCEPTION")
    expect(why).to_contain_text(re.compile(r"at \w+\.py:\d+ in train"))
    picture(page, "failure")
    page.keyboard.press("n")
    panel = page.get_by_role("complementary", name="Task train")
    expect(panel).to_contain_text("Failed.")
    expect(panel).to_contain_text("raise ValueError")
    why.get_by_role("button", name=re.compile("^train")).click()
    expect(page.get_by_role("log")).to_contain_text("ValueError: depth 99 is too deep")


def test_a_code_links_to_its_documentation(page: Page, site: Site, failed: str) -> None:
    page.goto(f"{site.url}/runs/{failed}")
    page.get_by_role("region", name="Why this run failed").get_by_role("link", name="USER_EXCEPTION").click()
    expect(page.get_by_role("heading", name="USER_EXCEPTION")).to_be_visible()
    expect(page.get_by_role("heading", name="How to fix it")).to_be_visible()


def test_a_waiting_task_links_to_the_task_it_waits_for(
    page: Page, site: Site, tmp_path: Path, picture: Picture
) -> None:
    gate = tmp_path / "gate"
    first = site.run("gated", "The first of two", gate=str(gate))
    page.goto(f"{site.url}/runs/{first}")
    expect(page.get_by_role("region", name="Run", exact=True)).to_contain_text("Running")
    waits = page.get_by_role("list", name="What this run is waiting for")
    expect(waits).to_contain_text("WAITING_FOR_UPSTREAM")
    second = site.run("gated", "The second of two", gate=str(gate))
    page.goto(f"{site.url}/runs/{second}?task=watch")
    panel = page.get_by_role("complementary", name="Task watch")
    expect(panel).to_contain_text("WAITING_FOR_SAME_TASK")
    picture(page, "waiting")
    panel.get_by_role("link", name="watch in run The first of two").click()
    expect(page.get_by_role("region", name="Run", exact=True)).to_contain_text("The first of two")
    gate.touch()
    site.server.finished(second)


def test_metrics_and_reports_are_shown(page: Page, site: Site, finished: str, picture: Picture) -> None:
    page.goto(f"{site.url}/runs/{finished}?task={EVALUATE}&panel=visuals")
    expect(page.get_by_role("row", name="accuracy 0.964286")).to_be_visible()
    matrix = page.get_by_role("table", name=re.compile("Confusion matrix"))
    expect(matrix.get_by_role("cell", name="71")).to_be_visible()
    curve = page.get_by_role("img", name=re.compile("ROC curve of 4 points, area under it 0.97"))
    curve.scroll_into_view_if_needed()
    curve.hover()
    expect(page.get_by_text(re.compile("true positives"))).to_be_visible()
    picture(page, "results")
    notes = page.locator("article")
    expect(notes.get_by_role("heading", name="Notes")).to_be_visible()
    expect(notes.locator("strong")).to_have_text("good")
    expect(notes.locator("img")).to_have_count(0)


def test_an_html_page_of_a_task_is_isolated(page: Page, site: Site, finished: str) -> None:
    asked: list[dict[str, str]] = []
    page.on(
        "request",
        lambda request: asked.append(request.all_headers()) if request.url.startswith("http://localhost") else None,
    )
    page.goto(f"{site.url}/runs/{finished}?task={EVALUATE}&panel=visuals")
    frame = page.locator("iframe")
    expect(frame).to_have_attribute("sandbox", "allow-scripts")
    inside = page.frame_locator("iframe")
    expect(inside.locator("h1")).to_have_text("Report")
    expect(inside.locator("#origin")).to_have_text("null")
    expect(inside.locator("#cookies")).to_have_text("SecurityError")
    expect(page).not_to_have_title("reused")
    assert asked and all("cookie" not in headers for headers in asked)


def test_parameters_code_and_details_are_shown(page: Page, site: Site, finished: str) -> None:
    page.goto(f"{site.url}/runs/{finished}?task=exit-handler-1/load&panel=io")
    panel = page.get_by_role("complementary", name="Task load")
    expect(panel).to_contain_text("455")
    expect(panel).to_contain_text("Dataset")
    panel.get_by_role("tab", name="Code").click()
    expect(panel).to_contain_text("def load(rows: int")
    page.get_by_role("tab", name="Details").click()
    expect(page.get_by_role("tabpanel").first).to_contain_text("threshold")
    page.get_by_role("tab", name="Timeline").click()
    expect(page.get_by_role("button", name=re.compile("^evaluate"))).to_be_visible()


def test_the_address_keeps_every_selection(page: Page, site: Site, failed: str) -> None:
    page.goto(f"{site.url}/runs/{failed}?tab=tasks&task=exit-handler-1/for-loop-2[1]/train&panel=logs")
    expect(page.get_by_role("log")).to_contain_text("too deep")
    address = page.url
    page.reload()
    expect(page.get_by_role("log")).to_contain_text("too deep")
    expect(page.get_by_role("tab", name="Tasks")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tab", name="Logs")).to_have_attribute("aria-selected", "true")
    assert page.url == address


def test_the_theme_follows_the_system_or_the_user(
    signed_in: Callable[..., Page], site: Site, finished: str, picture: Picture
) -> None:
    page = signed_in(color_scheme="dark", device_scale_factor=2)
    page.goto(f"{site.url}/runs/{finished}?task={EVALUATE}&panel=visuals")
    expect(page.locator("iframe")).to_be_visible()
    picture(page, "dark")
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(13, 17, 23)"
    page.get_by_role("button", name=re.compile("^Theme")).click()
    assert page.evaluate(background) == "rgb(245, 246, 248)"
    page.reload()
    assert page.evaluate(background) == "rgb(245, 246, 248)"


def test_an_unknown_run_shows_run_not_found(browser: Browser, site: Site) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(site.sign_in_link())
        page.goto(f"{site.url}/runs/4e1d3f60-0000-4000-8000-000000000000")
        expect(page.get_by_text("Run not found")).to_be_visible()


def test_a_link_printed_by_kfp_opens_the_run(page: Page, site: Site, finished: str) -> None:
    page.goto(f"{site.url}/#/runs/details/{finished}")
    page.wait_for_url(f"{site.url}/runs/{finished}")
    expect(page.get_by_role("tab", name="Graph")).to_be_visible()
