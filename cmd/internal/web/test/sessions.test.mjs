// Sessions and servers that end while a page is open, with and without farmc api before farmc watch.
import test, { after } from "node:test";
import assert from "node:assert/strict";
import { Lab, threeFarms, visit, login, closeBrowser, until } from "./lab.mjs";

after(closeBrowser);

const state = page => page.evaluate(() => document.getElementById("connection").dataset.state);
const becomes = (page, wanted) => until(async () => await state(page) === wanted, `state ${wanted}`);

test("a deleted key ends the session of an open page", async () => {
	const lab = await new Lab(threeFarms).start();
	try {
		const page = await visit();
		await login(page, lab, "read");
		await becomes(page, "live");
		lab.revoke("the-read");
		await becomes(page, "ended");
		assert.match(await page.locator("#announcer").innerText(), /session ended/);
		assert.deepEqual(await page.evaluate(() => window.shifts), []);
		const other = await visit();
		await login(other, lab, "state", "/ui/farms/web");
		lab.revoke("the-state");
		await other.getByRole("button", { name: "Drain web1" }).click();
		await other.waitForURL(/\/ui\/login/);
		assert.equal((await lab.api("GET", "/v1/farms/web/backends/web1/state")).document.state, "up");
	} finally { await lab.close(); }
});

test("a page outlives a restart of watch, and asks for the key again", async () => {
	const lab = await new Lab(threeFarms).start();
	try {
		const page = await visit();
		await login(page, lab, "read", "/ui/farms/web");
		await becomes(page, "live");
		await lab.stop(lab.watch);
		await becomes(page, "lost");
		assert.match(await page.locator("#backend-web1").innerText(), /web1/, "the last state stays readable");
		await lab.startWatch();
		await becomes(page, "ended"); // sessions are in the memory of the process
		await page.getByRole("link", { name: "Log in again" }).click();
		await page.getByLabel("Key of the API").fill(lab.keys.read);
		await page.getByRole("button", { name: "Log in" }).click();
		await page.waitForURL(lab.url + "/ui/farms/web");
	} finally { await lab.close(); }
});

test("with farmc api, the session outlives a restart of watch", async () => {
	const lab = await new Lab(threeFarms, { front: true }).start();
	try {
		const page = await visit();
		await login(page, lab, "state", "/ui/farms/mail");
		await becomes(page, "live");
		await page.getByRole("button", { name: "Drain mx1" }).click();
		await page.waitForURL(/done=1/);
		assert.match(await page.locator("#outcome").innerText(), /Drained mail mx1/);
		await lab.stop(lab.watch);
		await becomes(page, "lost");
		const answer = await page.request.get(lab.url + "/ui/");
		assert.equal(answer.status(), 503);
		assert.match(await answer.text(), /farmc watch does not answer/);
		await lab.startWatch();
		await lab.answers();
		await becomes(page, "live");
		await page.getByRole("button", { name: "Undo" }).click();
		await page.waitForURL(/done=2/);
		assert.match(await page.locator("#outcome").innerText(), /Undone/);
		await until(async () => (await lab.api("GET", "/v1/farms/mail/backends/mx1/state")).document.state === "up", "undo");
		lab.revoke("the-state");
		await becomes(page, "ended");
	} finally { await lab.close(); }
});

// A browser sends no Sec-Fetch-Site there, so the origin of a form is all that tells it from one of another site.
test("forms work over an address of the network without TLS", async () => {
	const lab = await new Lab(threeFarms, { host: "192.0.2.1" }).start();
	try {
		const page = await visit();
		await login(page, lab, "state", "/ui/farms/mail");
		await page.getByRole("button", { name: "Drain mx1" }).click();
		await page.waitForURL(/done=1/);
		assert.match(await page.locator("#outcome").innerText(), /Drained mail mx1/);
		await page.getByRole("button", { name: "Undo" }).click();
		await page.waitForURL(/done=2/);
	} finally { await lab.close(); }
});
