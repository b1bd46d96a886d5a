<?php
// PHP 8: it asks Vigie about each token, so logged out means logged out.

function refuse(int $status, string $header): never
{
    http_response_code($status);
    header($header);
    exit;
}

function authenticated(): array
{
    if (!preg_match('/^Bearer +(\S+)$/i', $_SERVER['HTTP_AUTHORIZATION'] ?? '', $found)) {
        refuse(401, 'WWW-Authenticate: Bearer');
    }
    $credentials = base64_encode(getenv('CLIENT_ID') . ':' . getenv('CLIENT_SECRET'));
    $answer = @file_get_contents(getenv('VIGIE_URL') . '/oauth/introspect', context: stream_context_create(['http' => [
        'method' => 'POST',
        'header' => ["Authorization: Basic $credentials", 'Content-Type: application/x-www-form-urlencoded'],
        'content' => http_build_query(['token' => $found[1]]),
        'timeout' => 5,
    ]]));
    $user = $answer === false ? null : json_decode($answer, associative: true);
    if (!is_bool($user['active'] ?? null)) {
        // Nothing was decided: nobody is let in, and nobody is told to log in again.
        refuse(503, 'Retry-After: 1');
    }
    // A refresh token has no type. It is no access token, although this client may be told that it is active.
    if (!$user['active'] || ($user['token_type'] ?? null) !== 'Bearer') {
        refuse(401, 'WWW-Authenticate: Bearer error="invalid_token"');
    }
    return $user;
}

$user = authenticated();
header('Content-Type: application/json');
echo json_encode(['user' => $user['sub'], 'name' => $user['username'], 'role' => $user['role'], 'session' => $user['sid']]);
