-- Asks Vigie whether a request of somebody with a browser may pass (forward-auth), for haproxy.cfg. Sets txn.vigie.status to the
-- status of the answer; to nothing where there is none. Fails closed: haproxy.cfg lets a request pass by 200 alone.

local VIGIE = "http://127.0.0.1:8080/auth/verify?login=redirect"
-- Milliseconds. Vigie itself answers 503 before, where it waits for its database.
local TIMEOUT = 10000

-- Which headers of the request Vigie is told: the cookies, and what tells a page from what a script or a socket asks for.
local ASKED = { "cookie", "accept", "upgrade", "sec-fetch-mode" }

-- Which headers of the answer haproxy.cfg uses, and the variables that hold them.
local TOLD = {
    ["x-auth-user-id"] = "txn.vigie.user_id",
    ["x-auth-username"] = "txn.vigie.username",
    ["x-auth-role"] = "txn.vigie.role",
    ["x-auth-session-id"] = "txn.vigie.session_id",
    ["cookie"] = "txn.vigie.other_cookies",
    ["location"] = "txn.vigie.login_page",
    ["www-authenticate"] = "txn.vigie.challenge",
}

core.register_action("vigie", { "http-req" }, function(txn)
    local headers = txn.http:req_get_headers()
    local question = {
        -- The client's address, for Vigie's history; not what the client claims.
        ["x-forwarded-for"] = { txn.sf:src() },
        -- What was asked for: where the login page leads back to.
        ["x-forwarded-proto"] = { txn.sf:ssl_fc() == "1" and "https" or "http" },
        ["x-forwarded-host"] = { txn.sf:req_hdr("host") or "" },
        ["x-forwarded-method"] = { txn.sf:method() },
        ["x-forwarded-uri"] = { txn.sf:pathq() },
    }
    for _, name in ipairs(ASKED) do
        for _, value in pairs(headers[name] or {}) do
            question[name] = question[name] or {}
            table.insert(question[name], value)
        end
    end

    local answer = core.httpclient():get({ url = VIGIE, headers = question, timeout = TIMEOUT })
    if answer == nil or answer.status == nil then return end
    for name, variable in pairs(TOLD) do
        local values = answer.headers and answer.headers[name]
        if values and values[0] and values[0] ~= "" then txn:set_var(variable, values[0]) end
    end
    txn:set_var("txn.vigie.status", answer.status)
end, 0)
