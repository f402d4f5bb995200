// Pictures of the pages for a person to look at, into the directory PICTURES (dist/ui by default).
import test, { after } from "node:test";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { Lab, threeFarms, manyFarms, traffic, visit, login, closeBrowser } from "./lab.mjs";

const out = process.env.PICTURES || path.resolve(import.meta.dirname, "../../../../dist/ui");
const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
mkdirSync(out, { recursive: true });
after(closeBrowser);

// take takes pictures of pages in a light and a dark scheme, and on a phone.
async function take(lab, session, pages, name) {
	const storageState = session;
	for (const [kind, options] of Object.entries({ light: {}, dark: { colorScheme: "dark" }, phone })) {
		const page = await visit({ ...options, storageState });
		for (const [title, where] of Object.entries(pages)) {
			await page.goto(lab.url + where);
			await page.waitForTimeout(2000);
			await page.screenshot({ path: path.join(out, `${name}-${title}-${kind}.png`), fullPage: title === "farm" });
		}
	}
}

test("three farms", async () => {
	const lab = await new Lab(threeFarms).start(), stop = traffic();
	try {
		const page = await visit();
		await login(page, lab, "write");
		await page.waitForTimeout(90_000); // for the graphs
		await lab.fail("web", "web2", "connect to 10.0.0.12:80: connection refused");
		await lab.api("PUT", "/v1/farms/mail/backends/mx2/state", { state: "drain", for: "1h" });
		lab.write("ftp.toml", 'listen = "192.0.2.11:21"\n[backends.a]\naddress = "10.0.0.300"\nwieght = 3\n');
		await page.waitForTimeout(20_000);
		await take(lab, await page.context().storageState(), { farms: "/ui/", farm: "/ui/farms/web", load: "/ui/problems",
			script: "/ui/script?farm=web", explain: "/ui/explain?service=192.0.2.10:80&from=198.51.100.7:40000",
			doctor: "/ui/doctor", history: "/ui/history" }, "3");
	} finally { stop(); await lab.close(); }
});

test("200 farms", async () => {
	const lab = await new Lab(manyFarms(200)).start();
	try {
		const page = await visit();
		await login(page, lab, "write");
		await lab.fail("auth-03", "n2", "HTTP status 503");
		await lab.fail("shop-11", "n1", "no answer within 1s");
		await lab.api("PUT", "/v1/farms/git-07/backends/n1/state", { state: "drain" });
		await page.waitForTimeout(15_000);
		await take(lab, await page.context().storageState(), { farms: "/ui/", farm: "/ui/farms/auth-03" }, "200");
	} finally { await lab.close(); }
});
