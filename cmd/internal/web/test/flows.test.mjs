// What an operator does: look, find, act and undo, in one and in two browsers.
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import { Lab, threeFarms, countBytes, traffic, visit, login, closeBrowser, until } from "./lab.mjs";

let lab;
before(async () => { lab = await new Lab(threeFarms).start(); });
after(async () => { await closeBrowser(); await lab.close(); });

const clean = async page => {
	assert.deepEqual(page.errors, [], "errors of the console");
	assert.deepEqual(await page.evaluate(() => window.shifts), [], "shifts of the layout");
};

// focused is the accessible name, or the text, of the element that has the focus.
const focused = page => page.evaluate(() => {
	const e = document.activeElement;
	return (e.getAttribute("aria-label") || e.textContent || "").trim();
});

// tabTo presses Tab until an element with the name has the focus.
async function tabTo(page, name) {
	for (let i = 0; i < 80; i++) {
		await page.keyboard.press("Tab");
		if (await focused(page) === name) return;
	}
	assert.fail(`no element ${name} is reached by Tab`);
}

test("an operator finds the failing backend, says why, drains it and undoes that, by keyboard alone", async () => {
	const page = await visit();
	await page.goto(lab.url + "/ui/");
	assert.equal(new URL(page.url()).pathname, "/ui/login");
	await page.waitForFunction(() => document.activeElement.id === "key"); // the field has the focus
	await page.keyboard.type(lab.keys.state);
	await page.keyboard.press("Enter");
	await page.waitForURL(lab.url + "/ui/");
	await lab.fail("web", "web2", "connect to 10.0.0.12:80: connection refused");
	await page.waitForFunction(() => document.querySelector("#rows tr").id === "farm-web");
	const first = await page.locator("#rows tr").first().innerText();
	assert.match(first, /degraded[\s\S]*web2 unhealthy: connect to 10.0.0.12:80: connection refused/);
	await tabTo(page, "web");
	await page.keyboard.press("Enter");
	await page.waitForURL(/\/ui\/farms\/web$/);
	assert.match(await page.locator("#backend-web2").innerText(), /unhealthy by probe-1/);
	await tabTo(page, "Drain web2");
	await page.keyboard.press("Enter");
	await page.waitForURL(/done=1#outcome$/);
	assert.equal(await page.evaluate(() => document.activeElement.id), "outcome", "the outcome has the focus");
	assert.match(await page.locator("#outcome").innerText(), /Drained web web2/);
	assert.equal((await lab.api("GET", "/v1/farms/web/backends/web2/state")).document.file.includes("web2"), true);
	await page.keyboard.press("Tab");
	assert.equal(await focused(page), "Undo");
	await page.keyboard.press("Enter");
	await page.waitForURL(/done=2#outcome$/);
	assert.match(await page.locator("#outcome").innerText(), /Undone: Drained web web2/);
	await lab.heal("web", "web2");
	await page.waitForFunction(() => /up/.test(document.querySelector("#backend-web2 .state").textContent));
	await clean(page);
});

test("a backend is drained for a time, given a weight, and taken up", async () => {
	const page = await visit();
	await login(page, lab, "state", "/ui/farms/mail");
	await page.getByLabel("More actions for mx1").click();
	const more = page.locator("#backend-mx1 details");
	await more.getByRole("combobox").selectOption("15m");
	await more.getByRole("button", { name: "Drain" }).click();
	await page.waitForURL(/done=/);
	const state = (await lab.api("GET", "/v1/farms/mail/backends/mx1/state")).document;
	assert.equal(state.state, "drain");
	assert.ok(new Date(state.until) > Date.now() + 5 * 60_000, "it ends by itself");
	await page.getByRole("button", { name: "Take up mx1" }).click();
	await page.waitForURL(/done=2/);
	await page.getByRole("button", { name: "Undo" }).click();
	await page.waitForURL(/done=3/);
	const again = (await lab.api("GET", "/v1/farms/mail/backends/mx1/state")).document;
	assert.equal(again.state, "drain", "the undo restores the drain");
	assert.ok(new Date(again.until) < Date.now() + 15 * 60_000, "with the time that is left");
	await page.getByRole("button", { name: "Take up mx1" }).click();
	await page.waitForURL(/done=4/);
	await page.getByLabel("More actions for mx1").click();
	await page.getByLabel("Weight of mx1").fill("7");
	await page.getByRole("button", { name: "Set the weight" }).first().click();
	await page.waitForURL(/done=5/);
	assert.equal((await lab.api("GET", "/v1/farms/mail/backends/mx1/state")).document.weight, 7);
	await page.getByRole("button", { name: "Undo" }).click();
	await page.waitForURL(/done=6/);
	assert.equal((await lab.api("GET", "/v1/farms/mail/backends/mx1/state")).document.weight, 1);
	await clean(page);
});

test("a client is banned, and the ban ends", async () => {
	const page = await visit();
	await login(page, lab, "state", "/ui/farms/web");
	await page.getByLabel("Client", { exact: true }).fill("198.51.100.7");
	await page.getByRole("button", { name: "Ban", exact: true }).click();
	await page.waitForURL(/done=1/);
	assert.match(await page.locator("#outcome").innerText(), /198.51.100.7 is banned for 10m/);
	const bans = async () => (await lab.api("GET", "/v1/farms/web/bans")).document.bans.length;
	assert.equal(await bans(), 1);
	await page.getByRole("button", { name: "Undo" }).click();
	await page.waitForURL(/done=2/);
	assert.equal(await bans(), 0);
	await clean(page);
});

test("a load on trial is confirmed, and farms are rolled back after a look at the changes", async () => {
	const page = await visit();
	lab.write("web.toml", threeFarms["web.toml"].replace("weight = 2", "weight = 5"));
	await until(async () => (await lab.api("GET", "/v1/history")).document.loads.length > 1, "second load");
	await login(page, lab, "write", "/ui/history");
	await page.getByRole("link", { name: "Roll back 1 loads" }).click();
	assert.match(await page.locator("main").innerText(), /weight 5 . 2/);
	await page.getByRole("button", { name: "Roll back" }).click();
	await page.waitForURL(/done=1/);
	assert.match(await page.locator("#outcome").innerText(), /Rolled back[\s\S]*web2 weight/);
	const weight = async () => (await lab.api("GET", "/v1/farms/web/backends/web2/state")).document.weight;
	assert.equal(await weight(), 2);
	await page.getByRole("button", { name: "Undo" }).click();
	await page.waitForURL(/done=2/);
	assert.match(await page.locator("#outcome").innerText(), /Undone: Rolled back[\s\S]*waits to be confirmed/);
	assert.equal(await weight(), 5, "the undo loads the files again");
	await page.getByRole("button", { name: "Confirm the load" }).click();
	await page.waitForURL(/done=3/);
	assert.match(await page.locator("#outcome").innerText(), /a rollback brings the farms before back/);
	lab.write("web.toml", threeFarms["web.toml"]);
	await until(async () => await weight() === 2, "load of the files");
	lab.write("new.toml", 'listen = "192.0.2.11:8080"\n[backends.a]\naddress = "10.0.0.11"\n');
	const trial = await lab.api("POST", "/v1/apply", { confirm: "60s" });
	assert.equal(trial.status, 200, trial.text);
	await page.goto(lab.url + "/ui/");
	await page.getByRole("button", { name: "Confirm the load" }).click();
	await page.waitForURL(/done=4/);
	assert.equal((await lab.api("GET", "/v1/overview?size=1")).document.trial, null);
	lab.remove("new.toml");
	await clean(page);
});

test("graphs begin with farmc watch, before a page is open, and nothing moves while numbers change", async () => {
	const stop = traffic();
	try {
		const history = async () => (await lab.api("GET", "/v1/overview/web")).document.row.history;
		const seconds = async () => (await history()).seconds;
		await until(async () => (await history()).newPerSecond.length > 2, "points from the time without a page of the farm");
		const page = await visit();
		await login(page, lab, "read");
		const graph = label => page.locator("#farm-web").getByRole("img", { name: label });
		for (const label of [/New connections per second from [\d.]+ to/, /Open connections from \d+ to/, /Bytes per second from .* to .* [kM]B, now/]) {
			await graph(label).waitFor();
		}
		await page.getByRole("link", { name: /since the start/ }).click();
		await page.waitForURL(/span=start/);
		await page.goto(lab.url + "/ui/farms/web");
		const now = await seconds();
		await until(async () => await seconds() >= now + 15, "more points");
		assert.match(await page.locator("#figures").innerText(), /Bytes per second\s+[\d.]+\s[kM]B/);
		await clean(page);
	} finally { stop(); }
});

test("a page tells how to count bytes, where the kernel counts none", async () => {
	const page = await visit();
	await login(page, lab, "read");
	const hint = "No bytes per second: the kernel counts no bytes: sysctl -w net.netfilter.nf_conntrack_acct=1";
	try {
		countBytes(false);
		await page.getByText(hint).waitFor();
		assert.equal(await page.locator(".c-bytes").count(), 0, "there is no column of zeros");
		await page.goto(lab.url + "/ui/farms/web");
		assert.match(await page.locator("#figures").innerText(), /Bytes per second\s+–\s+the kernel counts no bytes/);
	} finally { countBytes(true); }
	await page.goto(lab.url + "/ui/");
	await page.locator("#farm-web .c-bytes").waitFor();
});

test("a second browser with a read key sees the change, is offered no action, and is refused", async () => {
	const operator = await visit(), reader = await visit();
	await login(operator, lab, "write", "/ui/farms/mail");
	await login(reader, lab, "read", "/ui/farms/mail");
	assert.equal(await reader.locator("main form[method=post]").count(), 0);
	assert.ok(await operator.locator("main form[method=post]").count() > 3);
	await operator.getByRole("button", { name: "Drain mx2" }).click();
	await operator.waitForURL(/done=/);
	await reader.waitForFunction(() => /drain/.test(document.querySelector("#backend-mx2 .state").textContent));
	const forged = await reader.evaluate(async () => {
		const token = document.querySelector("input[name=token]").value;
		const out = [];
		for (const [path, fields] of [["/ui/farms/mail/backends/mx1/state", { state: "down" }],
			["/ui/farms/mail/backends/mx1/weight", { weight: "9" }], ["/ui/rollback", { steps: "1" }],
			["/ui/confirm", {}], ["/ui/farms/web/bans", { client: "198.51.100.9" }]]) {
			const answer = await fetch(path, { method: "POST", body: new URLSearchParams({ token, ...fields }) });
			out.push(answer.status);
		}
		return out;
	});
	assert.deepEqual(forged, [403, 403, 403, 403, 403]);
	assert.equal((await lab.api("GET", "/v1/farms/mail/backends/mx1/state")).document.state, "up");
	reader.errors = []; // the browser notes each 403
	await operator.getByRole("button", { name: "Undo" }).click();
	await operator.waitForURL(/done=2/);
	await clean(operator);
});

test("the main flows need no script", async () => {
	const page = await visit({ javaScriptEnabled: false });
	await login(page, lab, "state");
	await page.getByRole("searchbox").fill("campus");
	await page.getByRole("searchbox").press("Enter");
	assert.deepEqual(await page.locator("#rows tr th a").allInnerTexts(), ["mail"]);
	await page.getByRole("link", { name: "mail" }).click();
	await page.getByRole("button", { name: "Drain mx1" }).click();
	assert.match(await page.locator("#outcome").innerText(), /Drained mail mx1/);
	await page.getByRole("button", { name: "Undo" }).click();
	assert.match(await page.locator("#outcome").innerText(), /Undone/);
	await page.getByRole("button", { name: "Log out" }).click();
	assert.equal(new URL(page.url()).pathname, "/ui/login");
});

test("faults are shown with their lines, and the script by farm", async () => {
	const page = await visit();
	lab.write("ftp.toml", 'listen = "192.0.2.11:21"\n[backends.a]\naddress = "10.0.0.300"\n');
	await until(async () => (await lab.api("GET", "/v1/overview?size=1")).document.faults.length > 0, "fault");
	await login(page, lab, "read", "/ui/problems");
	const fault = page.locator(".fault").first();
	assert.match(await fault.innerText(), /ftp\.toml:3\s+address: "10\.0\.0\.300" is not an address/);
	assert.equal(await fault.locator(".here").innerText(), 'address = "10.0.0.300"');
	lab.remove("ftp.toml");
	await page.waitForFunction(() => !document.querySelector(".fault"));
	await page.goto(lab.url + "/ui/farms/web");
	await page.getByRole("link", { name: "Lines of the script" }).click();
	assert.ok(await page.locator("tr.mine").count() > 3);
	await page.goto(lab.url + "/ui/explain");
	await page.getByLabel("Service").fill("192.0.2.10:80");
	await page.getByLabel("Client").fill("203.0.113.5:4000");
	await page.getByRole("button", { name: "Explain" }).click();
	assert.match(await page.locator(".answer").innerText(), /the packet is stopped[\s\S]*access denies the client: 203.0.113.0\/24/);
	await clean(page);
});
