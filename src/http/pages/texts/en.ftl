# The texts of pages, in English. Those of fr.ftl have the same names.

## Around each page

skip = Skip to the content
menu = Menu
nav-account = My account
nav-sessions = Sessions
nav-attempts = Attempts
nav-password = Password
nav-console = Console
nav-export = My data
log-out = Log out
logged-in-as = Logged in as { $name }
footer = Information and settings
footer-accessibility-total = Accessibility: fully compliant
footer-accessibility-partial = Accessibility: partially compliant
footer-accessibility-none = Accessibility: not compliant
footer-privacy = Personal data
language = Language
language-fr = Français
language-en = English
time-zone = Time zone
time-zone-note = Times are those of the zone { $zone }.
time-zone-set = Change
error = Error
all-required = All fields are required.
done = Done
idle-at = Without activity, your session ends on
ends-at = Your session ends on
idle-extend = Stay logged in
idle-soon = Your session ends in less than two minutes.
idle-over = Your session is over. Your next action will ask you to log in.
form-again = Your request was not carried out: you had to log in first. What you had entered is here again. Check it, then send it.
form-not-sent = Your request was not carried out: you had to log in first. If you still want it, make it again.
agent-whole = Browser in detail
agent-unknown = Unknown browser

## Times

month = { $month ->
    [1] January
    [2] February
    [3] March
    [4] April
    [5] May
    [6] June
    [7] July
    [8] August
    [9] September
    [10] October
    [11] November
   *[12] December
 }
exact-time = { $day } { $month } { $year }, { $time } ({ $zone })
exact-day = { $day } { $month } { $year }
now = now
ago-minutes = { $count ->
    [one] { $count } minute ago
   *[other] { $count } minutes ago
 }
ago-hours = { $count ->
    [one] { $count } hour ago
   *[other] { $count } hours ago
 }
ago-days = { $count ->
    [one] { $count } day ago
   *[other] { $count } days ago
 }
in-minutes = { $count ->
    [one] in { $count } minute
   *[other] in { $count } minutes
 }
in-hours = { $count ->
    [one] in { $count } hour
   *[other] in { $count } hours
 }
in-days = { $count ->
    [one] in { $count } day
   *[other] in { $count } days
 }
months = { $count ->
    [one] { $count } month
   *[other] { $count } months
 }

## Log in

login-title = Log in
login-username = Username
login-password = Password
login-submit = Log in
login-refused = The username or the password is not right. Nothing says which of the two.
login-throttled = Too many failures. Wait a few minutes, then try again.
login-why-ended = Your session is over. Log in to go on.
login-why-again = This action asks for a recent login. Confirm your identity.
login-why-logged-out = You are logged out, everywhere this session was open.
login-why-password-set = Your password is set. You can log in now.
login-why-cookies = Your browser shows the site two different logins. Log in to choose yours.

cookies-title = Two logins at once
cookies-text = You are logged in, but your browser shows { $host } two different logins. So nothing was opened. Your own login has just been set again.
cookies-go-on = Open { $host } again
cookies-still = If this page comes back, clear the cookies of { $host } in your browser, and tell your administrator: another site has set them.
login-recorded = Each login is recorded: its date, the network address, the browser and the application. This history protects your account and those of others.
login-recorded-more = What is kept, why and for how long
show-password = Show
hide-password = Hide

## Log out

logout-title = Log out?
logout-text = Your session will be over, here and in all applications that use it.
logout-stay = Stay logged in

## Account

account-title = My account
account-username = Username
account-role = Role
account-this-session = This session
account-started = Opened
account-ip = Network address
account-idle = Ends without activity
account-expires = Ends at the latest
account-previous = Previous login
account-previous-text = If this login was not yours, end your other sessions and change your password.
account-previous-at = Date
account-previous-none = This is your first login.

## Sessions

sessions-title = My sessions
sessions-caption-active = Open sessions, newest first
sessions-caption-all = All sessions that are kept, newest first
sessions-device = Device
sessions-started = Opened
sessions-last-seen = Last activity
sessions-ip = Address
sessions-client = Application
sessions-state = State
sessions-action = Action
sessions-this = This session
sessions-active = Open
sessions-end = End
sessions-end-named = End the session: { $name }
sessions-ended = { $count ->
    [0] No session was left to end.
    [one] { $count } session is over, everywhere.
   *[other] { $count } sessions are over, everywhere.
 }
sessions-name = Name
sessions-name-named = Name the session: { $name }
name-title = Name a session
name-label = Name of the session
name-note = For example: my laptop, the library's computer. At most 64 characters. Leave it empty to remove the name.
name-submit = Save the name
name-cancel = Cancel
name-wrong = This name does not fit: at most 64 characters, no line breaks.
name-done = The name is saved.
sessions-show-all = Show sessions that are over, too
sessions-show-active = Show open sessions only
sessions-none = No session.
sessions-many = End several sessions
sessions-end-others = End all other sessions
sessions-end-others-text = This session stays open. All others end at once.
sessions-end-all = End all sessions and log me out
sessions-end-all-text = This session ends as well. You will have to log in again.
next-page = Next page
first-page = Back to the beginning
end-logout = Logout
end-logout-all = Logout of all sessions
end-ended-by-owner = Ended by you
end-ended-by-admin = Ended by an administrator
end-bulk-end = Ended by an administrator, with others
end-token-revoked = Revoked by an application
end-password-changed = Password changed
end-rights-changed = Rights changed
end-user-disabled = Account disabled
end-user-deleted = Account deleted
end-refresh-reused = Stolen token
end-idle-timeout = Inactivity
end-expired = Longest duration reached
end-session-limit = Replaced by a new login
end-not-before = General revocation
end-client-removed = Application removed

## Attempts

attempts-title = Login attempts
attempts-caption = Attempts on my account, newest first
attempts-at = Date
attempts-outcome = Outcome
attempts-ip = Address
attempts-user-agent = Browser or application
attempts-none = No attempt.
outcome-success = Succeeded
outcome-unknown-user = Unknown username
outcome-wrong-password = Wrong password
outcome-disabled = Account disabled
outcome-throttled = Refused: too many failures
outcome-no-password = No password

## Password

password-title = Change the password
password-text = All your other sessions will end. This one stays open.
password-required = Somebody else chose your password. Change it before you go on.
password-done = Your password is changed, and your other sessions are over.
password-current = Current password
password-new = New password
password-again = New password, once more
password-rule = { $count ->
    [one] At least { $count } character. A few words that do not belong together are a good choice.
   *[other] At least { $count } characters. A few words that do not belong together are a good choice.
 }
password-submit = Set the password
password-wrong = The current password is not right.
password-not-same = The two new passwords differ.
password-too-short = { $count ->
    [one] It must have at least { $count } character.
   *[other] It must have at least { $count } characters.
 }
password-too-long = This password is too long.
password-listed = This password is on a list of known passwords.
password-common = This password is made of common words. Take four or more words that do not belong together.
password-context = This password resembles your username or the name of the service. Choose something else.
password-sequence = This password is a sequence of characters, such as 123456 or qwerty.
password-repetitive = This password repeats one thing.
password-unchanged = This is the current password. Choose another one.

## Links that are good once

setup-title = First administrator
setup-text = This account administers the service. There is no default account.
setup-awaits = There is no account yet. A link that is good once, for 24 hours, creates the first administrator.
setup-awaits-where = When it starts, the command “vigie serve” shows this link. Without a terminal it writes it to the file “setup-token” in the data directory of the server. Open the link here.
setup-username = Username of the administrator
setup-name-rule = 1 to 128 characters, without a space at the beginning or the end.
setup-name-wrong = This username does not fit: 1 to 128 characters, without white space at its ends.
setup-name-taken = This username is taken.
setup-submit = Create the account
reset-title = Choose a new password
reset-text = All your sessions will end. You then log in with this password.
not-me-title = Was it not you?
not-me-text = If you confirm, all your sessions end, and your password no longer logs in until an administrator gives you the means to set another.
not-me-submit = This was not me
not-me-it-was = If it was you, close this page: nothing has been changed.
not-me-done = Your account is safe
not-me-done-text = All sessions are over and the password no longer logs in. Ask an administrator for the means to set another.
link-over-not-me = It is not whole, it has been used, or its time is over. If you still need help, ask an administrator.
link-over = This link does not work
link-over-setup = It was used, or its time is over. As long as there is no account, each start of the server shows a new link.
link-over-reset = It was used, or its time is over. Ask an administrator for a new link.

## My data

export-title = My data
export-text = Download all that is kept about you: your account, your sessions and what happened in them, the attempts on your account.
export-format = The file holds one JSON object a line (NDJSON).
export-submit = Download my data

## Console

console-sessions-title = Everybody's sessions
console-sessions-caption = Sessions that match, { $order }
console-sessions-none = No session matches these filters.
console-this = Your session
console-details = Details
console-details-named = Details: { $name }
order = Order
order-newest-start = newest first
order-oldest-start = oldest first
order-last-seen = last used first
filters-title = Filter and sort
filters-set = Filters in place
filters-note = An empty field leaves nothing out.
filters-submit = Apply
filters-clear = Remove all filters
filters-remove = Remove
filters-remove-named = Remove: { $name }
filter-any = Any
filter-is = is
filter-or = or
filter-not = is not
filter-nor = nor
filter-contains = contains
filter-lacks = does not contain
filter-from = from
filter-before = before
filter-user = User
filter-role = Role at login
filter-state = State
filter-reason = Reason of the end
filter-ip = Address or network
filter-client-id = Application
filter-user-agent = Browser
filter-started = Opened
filter-last-seen = Last activity
filter-ended = Ended
filter-ended-by = Ended by
filter-token = Token (jti)
chip = { $name }: { $value }
chip-not = { $name }, not: { $value }
chip-from = { $name } from { $value }
chip-before = { $name } before { $value }
state-active = Open
state-ended = Over
state-all = All
wrong-filter = Nothing was looked for: there is an error in the filter.
wrong-unknown = There is no such filter: { $name }
wrong-order = There is no such order.
wrong-once = There can be only one value.
wrong-many = At most 20 values.
wrong-text = 1 to 512 characters.
wrong-word = There is no such value.
wrong-network = This is neither an address nor a network, such as 192.0.2.7 or 192.0.2.0/24.
wrong-id = This is not the id of a token (UUID).
wrong-moment = This is not a date with a time, such as 2026-01-31T08:00.
near-title = Compare
near-user = Same user: { $value }
near-address = Same address: { $value }
near-network = Same network: { $value }
near-device = Same device: { $value }
near-time = 15 minutes before and after: { $value }
person-unknown = Deleted user ({ $id })
actor-client = Application { $id }
actor-system = Vigie ({ $part })
method-pwd = Password
reason-logout = Logout
reason-logout-means = The user logged out.
reason-logout-all = Logout of all sessions
reason-logout-all-means = The user ended all sessions.
reason-ended-by-owner = Ended by the user
reason-ended-by-owner-means = The user ended it from the list of own sessions.
reason-ended-by-admin = Ended by an administrator
reason-ended-by-admin-means = An administrator ended this session.
reason-bulk-end = Ended with others
reason-bulk-end-means = An administrator ended all sessions that matched a filter, and this one was among them.
reason-token-revoked = Revoked by an application
reason-token-revoked-means = An application revoked a token of this session.
reason-password-changed = Password changed
reason-password-changed-means = The password changed: sessions from before ended.
reason-rights-changed = Rights changed
reason-rights-changed-means = The user's role changed: the configuration ends sessions then.
reason-user-disabled = Account disabled
reason-user-disabled-means = The user's account was disabled.
reason-user-deleted = Account deleted
reason-user-deleted-means = The user's account was deleted.
reason-refresh-reused = Stolen token
reason-refresh-reused-means = A refresh token that had been used was presented again: somebody had a copy of it.
reason-idle-timeout = Inactivity
reason-idle-timeout-means = The session was without activity for too long.
reason-expired = Longest duration reached
reason-expired-means = The session reached its longest duration.
reason-session-limit = Replaced by a login
reason-session-limit-means = A new login of the same user took its place: their number is limited.
reason-not-before = General revocation
reason-not-before-means = A general revocation ended the sessions from before it.
reason-client-removed = Application removed
reason-client-removed-means = The application that this session belonged to was removed.
console-session-title = Session of { $name }
console-login = Login
console-methods = Identity proved by
console-device-name = Name of the device
console-client-sure = (authenticated)
console-client-claimed = (named, not verified)
console-client-none = No application was named
console-session-id = Id of the session
console-end = End
console-use = Activity
console-last-ip = Last address
console-token = Last access token
console-token-issued = Issued
console-token-expires = Good until
console-token-refreshes = Refreshes
console-token-none = No token was issued: a browser holds this session by a cookie, on these pages.
proof-title = Proof
proof-start = Beginning
proof-end = End
proof-record = Sealed: record { $count },
proof-checkpoint = { $count ->
    [one] checkpoint of { $count } record, signed on
   *[other] checkpoint of { $count } records, signed on
 }
proof-waiting = Not covered by a checkpoint yet.
events-title = Events
events-caption = What happened in this session, oldest first
events-none = No event is kept.
events-at = Date
events-what = Event
events-by = By
events-number = Number
event-session-started = Session opened
event-session-refreshed = Token refreshed
event-session-ended = Session ended
event-session-named = Session named
event-session-unknown = Unknown session
event-session-disowned = Login reported as somebody else's
event-token-refused = Token or cookie refused
event-form-refused = Form refused
event-refresh-refused = Refresh refused
event-password-changed = Password changed
siblings-title = Other sessions of this user
siblings-caption = Other sessions of { $name }, newest first
siblings-none = No other session is kept.
siblings-active = Open sessions of { $name }
end-title = End this session
end-text = It ends at once, here and in all applications that use it. This cannot be undone.
end-own = This is your own session: you will have to log in again.
end-note = Note
end-note-rule = Optional, at most 500 characters. It is kept with the session.
end-note-wrong = This note does not fit: at most 500 characters, no control characters.
end-submit = End the session
end-done = The session is over, everywhere.
end-was-over = The session was over already: nothing changed.

## Personal data

privacy-title = Personal data
privacy-what = What is recorded
privacy-what-text = At each login, whether it succeeds or not: date and time, username, network address, browser and application. At the end of each session: date, reason, and who decided it. During a session: the last activity and its network address, and the name that you give it. Of the account: the e-mail address, changes of the password, exports, and requests that were refused. No password is recorded in the clear.
privacy-why = Why
privacy-why-text = To know who had access to the service, to notice access that was not legitimate, and to let everybody watch over their own account.
privacy-how-long = For how long
privacy-sessions = Sessions, after their end
privacy-attempts = Login attempts
privacy-events = Record of events
privacy-addresses = Whole network addresses
privacy-who = Who can read it
privacy-who-text = You yourself, what concerns you; the administrators and the auditors who were named. Each time they read it, that is recorded as well.
privacy-yours = Your rights
privacy-yours-text = You can see your sessions and attempts, and download your data. For other requests, turn to the administrator of the service.
privacy-cookies = Cookies
privacy-cookies-text = Only necessary cookies are used: the session, the known device, the language and the time zone; and for a short time a link that is good once, or a form to go on with after the login. There is no audience measurement.
privacy-cookies-gate = One more cookie opens the sites that this service protects. Your browser sends it to every site of { $domain }. It is good only while your session lives.

## Accessibility

accessibility-title = Accessibility statement
accessibility-who = { $name } undertakes to make its online services accessible, as French law asks: article 47 of law 2005-102 of 11 February 2005, and decree 2019-768 of 24 July 2019.
accessibility-scope = This statement is about the pages for login, accounts and the console at { $address }. The sites that they give access to each have a statement of their own.
accessibility-scheme = Multi-year accessibility scheme
accessibility-self = These results are those of a self-assessment of the software Vigie with its original settings. They do not replace the audit that the responsible organisation has made of its own installation.
accessibility-state = State of conformity
accessibility-total = These pages are fully compliant with the French accessibility standard RGAA, version 4.1.2.
accessibility-partial = These pages are partially compliant with the French accessibility standard RGAA, version 4.1.2, because of the failures listed below.
accessibility-none = These pages are not compliant with the French accessibility standard RGAA, version 4.1.2. The failures are listed below.
accessibility-result = { $percentage }% of the criteria that apply are met: { $met } of { $applicable }.
accessibility-themes = Results for each theme of the RGAA, as numbers of criteria
accessibility-theme = Theme
accessibility-met = Met
accessibility-not-met = Not met
accessibility-not-applicable = Not applicable
accessibility-missing = What is not accessible
accessibility-failures = Failures
accessibility-none-missing = No failure is known.
accessibility-burden = Exemptions for a disproportionate burden
accessibility-burden-text = No exemption is claimed.
accessibility-outside = What is not assessed
accessibility-outside-text = The description of the programming interface (/docs/) is a page of a third party, Swagger UI, for developers. It has known defects: a button and a field without a name, weak contrast, nested interactive elements, targets that are too small. The same content is at /openapi.json. E-mails are not assessed either.
accessibility-established = How this statement was made
accessibility-established-on = This statement was made on
accessibility-technologies = Technologies
accessibility-javascript = JavaScript, which no function depends on
accessibility-environment = How the pages were tested
accessibility-environment-text = Chromium and Firefox ESR on Debian: with the keyboard alone, without script, 320 and 1280 pixels wide, enlarged to 200% and 400%, with another spacing of the text, in light, in dark and with forced colours. Nobody has listened to the pages with a screen reader yet.
accessibility-tools = Tools
accessibility-tools-text = axe-core, html-validate and the accessibility tree of Chromium, at each change of the software.
accessibility-pages = Pages that were assessed
accessibility-console-session = Somebody's session
accessibility-contact = Feedback and contact
accessibility-contact-text = If a content or a service is not accessible to you, ask for an accessible alternative, or for the content in another form:
accessibility-contact-none = speak to the administrator of the service.
accessibility-appeal = How to complain
accessibility-appeal-text = If you reported a defect that keeps you from a content or a service, and the answer does not satisfy you, you can turn to the French Defender of Rights:
accessibility-appeal-form = Write a message to the Defender of Rights
accessibility-appeal-delegate = Speak to the delegate of the Defender of Rights in your region
accessibility-appeal-letter = Send a letter, free of charge and without a stamp:

## Errors

problem-not-allowed = Refused
problem-not-allowed-text = You may not do this, or the form does not come from this page. Go back to the page before and try again.
problem-not-found = Page not found
problem-not-found-text = There is nothing at this address.
problem-method-not-allowed = Impossible
problem-method-not-allowed-text = This address does not know this action.
problem-too-many-attempts = Too many attempts
problem-too-many-attempts-text = Wait a few minutes, then try again.
problem-unavailable = Service unavailable
problem-unavailable-text = Nothing was decided or changed. Try again in a moment.
problem-malformed-request = Bad request
problem-malformed-request-text = This address or this form is not complete. Go back to the page before.
problem-home = Back to the start page
reload-title = One moment
reload-text = The page loads itself again. If nothing happens, follow this link:
reload-link = Go on
