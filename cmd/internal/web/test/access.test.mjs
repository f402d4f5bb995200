// All pages by axe-core, in both colour schemes, on a phone and on paper.
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { Lab, threeFarms, visit, login, closeBrowser, until } from "./lab.mjs";

const axe = createRequire(import.meta.url).resolve("axe-core");
const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

let lab;
before(async () => {
	lab = await new Lab(threeFarms).start();
	await lab.fail("web", "web2", "connection refused");
	await lab.api("PUT", "/v1/farms/mail/backends/mx1/state", { state: "drain" });
	await lab.api("PUT", "/v1/farms/web/bans/198.51.100.7", {});
	lab.write("web.toml", threeFarms["web.toml"].replace("weight = 2", "weight = 5"));
	await until(async () => (await lab.api("GET", "/v1/history")).document.loads.length > 1, "second load");
	lab.write("ftp.toml", 'listen = "192.0.2.11:21"\n[backends.a]\naddress = "10.0.0.300"\n');
	await until(async () => (await lab.api("GET", "/v1/overview?size=1")).document.faults.length > 0, "fault");
});
after(async () => { await closeBrowser(); await lab.close(); });

const pages = ["/ui/", "/ui/?search=none", "/ui/farms/web", "/ui/farms/mail", "/ui/problems", "/ui/script?farm=web", "/ui/explain",
	"/ui/explain?service=192.0.2.10:80&from=203.0.113.9", "/ui/explain?service=nonsense", "/ui/doctor", "/ui/history",
	"/ui/history/1", "/ui/none", "/ui/farms/none"];

async function examine(page, what) {
	await page.addScriptTag({ path: axe }).catch(() => {});
	const found = await page.evaluate(async () => (await window.axe.run(document, {
		runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })).violations
		.map(v => ({ id: v.id, count: v.nodes.length, nodes: v.nodes.slice(0, 2).map(n => n.html.slice(0, 160) + " " + n.any.map(a => a.message).join("; ").slice(0, 200)) })));
	assert.deepEqual(found, [], what);
}

for (const [kind, options] of Object.entries({ light: {}, dark: { colorScheme: "dark" }, phone, "dark phone": { ...phone, colorScheme: "dark" } })) {
	test(`axe-core finds nothing: ${kind}`, async () => {
		const page = await visit({ ...options, bypassCSP: true }); // for axe-core alone
		await page.goto(lab.url + "/ui/login?next=/ui/farms/web");
		await examine(page, "login");
		await login(page, lab, "write");
		for (const path of pages) {
			await page.goto(lab.url + path);
			await page.evaluate(() => { for (const d of document.querySelectorAll("main details")) d.open = true; });
			await examine(page, path);
			const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
			assert.ok(wide <= 0, `${path} is ${wide} pixels wider than the window`);
		}
		await page.goto(lab.url + "/ui/farms/mail");
		await page.getByRole("button", { name: "Take up mx1" }).click();
		await page.waitForURL(/done=/);
		await examine(page, "outcome");
		await page.getByRole("button", { name: "Undo" }).click();
		await page.waitForURL(/done=2/);
	});
}

test("on paper there are no forms and no navigation", async () => {
	const page = await visit();
	await login(page, lab, "write", "/ui/farms/web");
	await page.emulateMedia({ media: "print" });
	for (const part of [".top nav", ".search", "main form", ".c-act"]) {
		assert.equal(await page.locator(part).first().isVisible(), false, part);
	}
	assert.equal(await page.locator("#backend-web1 .state").isVisible(), true);
});

test("all controls have a visible focus, and the pages have their landmarks", async () => {
	const page = await visit();
	await login(page, lab, "write", "/ui/farms/web");
	for (const role of ["banner", "navigation", "main", "search", "contentinfo"]) {
		assert.ok(await page.getByRole(role).count() >= 1, role);
	}
	await page.keyboard.press("Tab");
	assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
	for (let i = 0; i < 45; i++) {
		await page.keyboard.press("Tab");
		const seen = await page.evaluate(() => {
			const e = document.activeElement, s = getComputedStyle(e);
			return e === document.body || s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 1 || `${e.outerHTML.slice(0, 80)}`;
		});
		assert.equal(seen, true);
	}
});
