# Les textes des pages, en français. Ceux de en.ftl portent les mêmes noms.

## Autour de chaque page

skip = Aller au contenu
menu = Menu
nav-account = Mon compte
nav-sessions = Sessions
nav-attempts = Tentatives
nav-password = Mot de passe
nav-console = Console
nav-export = Mes données
log-out = Se déconnecter
logged-in-as = Connecté en tant que { $name }
footer = Informations et réglages
footer-accessibility-total = Accessibilité : totalement conforme
footer-accessibility-partial = Accessibilité : partiellement conforme
footer-accessibility-none = Accessibilité : non conforme
footer-privacy = Données personnelles
language = Langue
language-fr = Français
language-en = English
time-zone = Fuseau horaire
time-zone-note = Les heures sont celles du fuseau { $zone }.
time-zone-set = Changer
error = Erreur
all-required = Tous les champs sont obligatoires.
done = C'est fait
idle-at = Sans activité, votre session se termine le
ends-at = Votre session se termine le
idle-extend = Rester connecté
idle-soon = Votre session se termine dans moins de deux minutes.
idle-over = Votre session est terminée. Votre prochaine action demandera de vous connecter.
form-again = Votre demande n'a pas été exécutée : il fallait d'abord vous connecter. Ce que vous aviez saisi est à nouveau là. Vérifiez-le, puis envoyez-le.
form-not-sent = Votre demande n'a pas été exécutée : il fallait d'abord vous connecter. Si vous la voulez toujours, faites-la à nouveau.
agent-whole = Détail du navigateur
agent-unknown = Navigateur inconnu

## Heures

month = { $month ->
    [1] janvier
    [2] février
    [3] mars
    [4] avril
    [5] mai
    [6] juin
    [7] juillet
    [8] août
    [9] septembre
    [10] octobre
    [11] novembre
   *[12] décembre
 }
exact-time = { $day ->
    [1] 1er
   *[other] { $day }
 } { $month } { $year } à { $time } ({ $zone })
exact-day = { $day ->
    [1] 1er
   *[other] { $day }
 } { $month } { $year }
now = maintenant
ago-minutes = { $count ->
    [one] il y a { $count } minute
   *[other] il y a { $count } minutes
 }
ago-hours = { $count ->
    [one] il y a { $count } heure
   *[other] il y a { $count } heures
 }
ago-days = { $count ->
    [one] il y a { $count } jour
   *[other] il y a { $count } jours
 }
in-minutes = { $count ->
    [one] dans { $count } minute
   *[other] dans { $count } minutes
 }
in-hours = { $count ->
    [one] dans { $count } heure
   *[other] dans { $count } heures
 }
in-days = { $count ->
    [one] dans { $count } jour
   *[other] dans { $count } jours
 }
months = { $count ->
    [one] { $count } mois
   *[other] { $count } mois
 }

## Connexion

login-title = Connexion
login-username = Identifiant
login-password = Mot de passe
login-submit = Se connecter
login-refused = L'identifiant ou le mot de passe est incorrect. Rien n'indique lequel des deux.
login-throttled = Trop d'échecs. Attendez quelques minutes, puis essayez à nouveau.
login-why-ended = Votre session est terminée. Connectez-vous pour continuer.
login-why-again = Cette action demande une connexion récente. Confirmez votre identité.
login-why-logged-out = Vous êtes déconnecté, partout où cette session était ouverte.
login-why-password-set = Votre mot de passe est enregistré. Vous pouvez vous connecter.
login-why-cookies = Votre navigateur présente deux connexions différentes à ce site. Connectez-vous pour choisir la vôtre.

cookies-title = Deux connexions à la fois
cookies-text = Vous êtes connecté, mais votre navigateur présente deux connexions différentes à { $host }. Rien n'a donc été ouvert. Votre connexion vient d'être rétablie.
cookies-go-on = Ouvrir à nouveau { $host }
cookies-still = Si cette page revient, effacez les cookies de { $host } dans votre navigateur et prévenez votre administrateur : un autre site les a déposés.
login-recorded = Chaque connexion est enregistrée : la date, l'adresse du réseau, le navigateur et l'application. Cet historique protège votre compte et celui des autres.
login-recorded-more = Ce qui est conservé, pourquoi et combien de temps
show-password = Afficher
hide-password = Masquer

## Déconnexion

logout-title = Se déconnecter ?
logout-text = Votre session prendra fin, ici et dans toutes les applications qui l'utilisent.
logout-stay = Rester connecté

## Compte

account-title = Mon compte
account-username = Identifiant
account-role = Rôle
account-this-session = Cette session
account-started = Ouverte
account-ip = Adresse du réseau
account-idle = Se termine sans activité
account-expires = Se termine au plus tard
account-previous = Connexion précédente
account-previous-text = Si cette connexion n'était pas la vôtre, mettez fin à vos autres sessions et changez votre mot de passe.
account-previous-at = Date
account-previous-none = C'est votre première connexion.

## Sessions

sessions-title = Mes sessions
sessions-caption-active = Sessions ouvertes, la plus récente d'abord
sessions-caption-all = Toutes les sessions conservées, la plus récente d'abord
sessions-device = Appareil
sessions-started = Ouverte
sessions-last-seen = Dernière activité
sessions-ip = Adresse
sessions-client = Application
sessions-state = État
sessions-action = Action
sessions-this = Cette session
sessions-active = Ouverte
sessions-end = Mettre fin
sessions-end-named = Mettre fin à la session : { $name }
sessions-ended = { $count ->
    [0] Aucune session n'était à terminer.
    [one] { $count } session est terminée, partout.
   *[other] { $count } sessions sont terminées, partout.
 }
sessions-name = Nommer
sessions-name-named = Nommer la session : { $name }
name-title = Nommer une session
name-label = Nom de la session
name-note = Par exemple : mon portable, le poste de la bibliothèque. 64 caractères au plus. Laissez vide pour retirer le nom.
name-submit = Enregistrer le nom
name-cancel = Annuler
name-wrong = Ce nom ne convient pas : 64 caractères au plus, sans retour à la ligne.
name-done = Le nom est enregistré.
sessions-show-all = Montrer aussi les sessions terminées
sessions-show-active = Ne montrer que les sessions ouvertes
sessions-none = Aucune session.
sessions-many = Mettre fin à plusieurs sessions
sessions-end-others = Mettre fin à toutes les autres sessions
sessions-end-others-text = Cette session reste ouverte. Toutes les autres prennent fin tout de suite.
sessions-end-all = Mettre fin à toutes les sessions et me déconnecter
sessions-end-all-text = Cette session prend fin aussi. Vous devrez vous connecter à nouveau.
next-page = Page suivante
first-page = Revenir au début
end-logout = Déconnexion
end-logout-all = Déconnexion de toutes les sessions
end-ended-by-owner = Terminée par vous
end-ended-by-admin = Terminée par un administrateur
end-bulk-end = Terminée par un administrateur, avec d'autres
end-token-revoked = Révoquée par une application
end-password-changed = Mot de passe changé
end-rights-changed = Droits modifiés
end-user-disabled = Compte désactivé
end-user-deleted = Compte supprimé
end-refresh-reused = Jeton volé
end-idle-timeout = Inactivité
end-expired = Durée maximale atteinte
end-session-limit = Remplacée par une nouvelle connexion
end-not-before = Révocation générale
end-client-removed = Application supprimée

## Tentatives

attempts-title = Tentatives de connexion
attempts-caption = Tentatives sur mon compte, la plus récente d'abord
attempts-at = Date
attempts-outcome = Résultat
attempts-ip = Adresse
attempts-user-agent = Navigateur ou application
attempts-none = Aucune tentative.
outcome-success = Réussie
outcome-unknown-user = Identifiant inconnu
outcome-wrong-password = Mot de passe incorrect
outcome-disabled = Compte désactivé
outcome-throttled = Refusée : trop d'échecs
outcome-no-password = Aucun mot de passe

## Mot de passe

password-title = Changer de mot de passe
password-text = Toutes vos autres sessions prendront fin. Celle-ci reste ouverte.
password-required = Votre mot de passe a été choisi par quelqu'un d'autre. Changez-le avant de continuer.
password-done = Votre mot de passe est changé, et vos autres sessions sont terminées.
password-current = Mot de passe actuel
password-new = Nouveau mot de passe
password-again = Nouveau mot de passe, une seconde fois
password-rule = { $count ->
    [one] Au moins { $count } caractère. Une suite de mots sans rapport entre eux convient bien.
   *[other] Au moins { $count } caractères. Une suite de mots sans rapport entre eux convient bien.
 }
password-submit = Enregistrer le mot de passe
password-wrong = Le mot de passe actuel est incorrect.
password-not-same = Les deux nouveaux mots de passe sont différents.
password-too-short = { $count ->
    [one] Il faut au moins { $count } caractère.
   *[other] Il faut au moins { $count } caractères.
 }
password-too-long = Ce mot de passe est trop long.
password-listed = Ce mot de passe figure dans une liste de mots de passe connus.
password-common = Ce mot de passe est fait de mots courants. Prenez quatre mots ou plus, sans rapport entre eux.
password-context = Ce mot de passe ressemble à votre identifiant ou au nom du service. Choisissez autre chose.
password-sequence = Ce mot de passe est une suite de caractères, comme 123456 ou azerty.
password-repetitive = Ce mot de passe répète la même chose.
password-unchanged = C'est le mot de passe actuel. Choisissez-en un autre.

## Liens à usage unique

setup-title = Premier administrateur
setup-text = Ce compte administre le service. Il n'existe pas de compte par défaut.
setup-awaits = Aucun compte n'existe encore. Le premier administrateur se crée par un lien à usage unique, valable 24 heures.
setup-awaits-where = Au démarrage, la commande « vigie serve » affiche ce lien. Sans terminal, elle l'écrit dans le fichier « setup-token » du dossier de données du serveur. Ouvrez ce lien ici.
setup-username = Identifiant de l'administrateur
setup-name-rule = De 1 à 128 caractères, sans espace au début ni à la fin.
setup-name-wrong = Cet identifiant ne convient pas : de 1 à 128 caractères, sans espace au début ni à la fin.
setup-name-taken = Cet identifiant est déjà pris.
setup-submit = Créer le compte
reset-title = Choisir un nouveau mot de passe
reset-text = Toutes vos sessions prendront fin. Vous vous connecterez ensuite avec ce mot de passe.
not-me-title = Ce n'était pas vous ?
not-me-text = Si vous confirmez, toutes vos sessions prendront fin et votre mot de passe ne permettra plus de se connecter, jusqu'à ce qu'un administrateur vous donne le moyen d'en choisir un autre.
not-me-submit = Ce n'était pas moi
not-me-it-was = Si c'était vous, fermez cette page : rien n'a été changé.
not-me-done = Votre compte est protégé
not-me-done-text = Toutes les sessions ont pris fin et le mot de passe ne permet plus de se connecter. Demandez à un administrateur le moyen d'en choisir un autre.
link-over-not-me = Il est incomplet, il a déjà servi, ou son délai est passé. Au besoin, adressez-vous à un administrateur.
link-over = Ce lien ne fonctionne pas
link-over-setup = Il a déjà servi, ou son délai est passé. Le démarrage du serveur affiche un nouveau lien tant qu'aucun compte n'existe.
link-over-reset = Il a déjà servi, ou son délai est passé. Demandez un nouveau lien à un administrateur.

## Mes données

export-title = Mes données
export-text = Téléchargez tout ce qui est conservé à votre sujet : votre compte, vos sessions et ce qui s'y est passé, les tentatives sur votre compte.
export-format = Le fichier contient un objet JSON par ligne (NDJSON).
export-submit = Télécharger mes données

## Console

console-sessions-title = Sessions de tous
console-sessions-caption = Sessions qui correspondent, { $order }
console-sessions-none = Aucune session ne correspond à ces filtres.
console-this = Votre session
console-details = Détails
console-details-named = Détails : { $name }
order = Ordre
order-newest-start = la plus récente d'abord
order-oldest-start = la plus ancienne d'abord
order-last-seen = la dernière utilisée d'abord
filters-title = Filtrer et trier
filters-set = Filtres en place
filters-note = Un champ vide ne filtre rien.
filters-submit = Appliquer
filters-clear = Retirer tous les filtres
filters-remove = Retirer
filters-remove-named = Retirer : { $name }
filter-any = Peu importe
filter-is = est
filter-or = ou
filter-not = n'est pas
filter-nor = ni
filter-contains = contient
filter-lacks = ne contient pas
filter-from = à partir du
filter-before = avant le
filter-user = Utilisateur
filter-role = Rôle à la connexion
filter-state = État
filter-reason = Raison de la fin
filter-ip = Adresse ou réseau
filter-client-id = Application
filter-user-agent = Navigateur
filter-started = Ouverte
filter-last-seen = Dernière activité
filter-ended = Terminée
filter-ended-by = Terminée par
filter-token = Jeton (jti)
chip = { $name } : { $value }
chip-not = { $name }, sauf : { $value }
chip-from = { $name } à partir du { $value }
chip-before = { $name } avant le { $value }
state-active = Ouverte
state-ended = Terminée
state-all = Toutes
wrong-filter = Rien n'a été cherché : le filtre a une erreur.
wrong-unknown = Ce filtre n'existe pas : { $name }
wrong-order = Cet ordre n'existe pas.
wrong-once = Une seule valeur est possible.
wrong-many = 20 valeurs au plus.
wrong-text = De 1 à 512 caractères.
wrong-word = Cette valeur n'existe pas.
wrong-network = Ce n'est ni une adresse ni un réseau, comme 192.0.2.7 ou 192.0.2.0/24.
wrong-id = Ce n'est pas l'identifiant d'un jeton (UUID).
wrong-moment = Ce n'est pas une date avec une heure, comme 2026-01-31T08:00.
near-title = Rapprocher
near-user = Même utilisateur : { $value }
near-address = Même adresse : { $value }
near-network = Même réseau : { $value }
near-device = Même appareil : { $value }
near-time = 15 minutes avant et après : { $value }
person-unknown = Utilisateur supprimé ({ $id })
actor-client = Application { $id }
actor-system = Vigie ({ $part })
method-pwd = Mot de passe
reason-logout = Déconnexion
reason-logout-means = L'utilisateur s'est déconnecté.
reason-logout-all = Déconnexion de toutes les sessions
reason-logout-all-means = L'utilisateur a mis fin à toutes ses sessions.
reason-ended-by-owner = Terminée par l'utilisateur
reason-ended-by-owner-means = L'utilisateur y a mis fin depuis la liste de ses sessions.
reason-ended-by-admin = Terminée par un administrateur
reason-ended-by-admin-means = Un administrateur a mis fin à cette session.
reason-bulk-end = Terminée avec d'autres
reason-bulk-end-means = Un administrateur a mis fin à toutes les sessions qui correspondaient à un filtre, dont celle-ci.
reason-token-revoked = Révoquée par une application
reason-token-revoked-means = Une application a révoqué un jeton de cette session.
reason-password-changed = Mot de passe changé
reason-password-changed-means = Le mot de passe a changé : les sessions ouvertes avant ont pris fin.
reason-rights-changed = Droits modifiés
reason-rights-changed-means = Le rôle de l'utilisateur a changé : la configuration met alors fin à ses sessions.
reason-user-disabled = Compte désactivé
reason-user-disabled-means = Le compte de l'utilisateur a été désactivé.
reason-user-deleted = Compte supprimé
reason-user-deleted-means = Le compte de l'utilisateur a été supprimé.
reason-refresh-reused = Jeton volé
reason-refresh-reused-means = Un jeton de renouvellement déjà utilisé a été présenté à nouveau : quelqu'un en avait une copie.
reason-idle-timeout = Inactivité
reason-idle-timeout-means = La session est restée trop longtemps sans activité.
reason-expired = Durée maximale atteinte
reason-expired-means = La session a atteint sa durée maximale.
reason-session-limit = Remplacée par une connexion
reason-session-limit-means = Une nouvelle connexion du même utilisateur a pris sa place : leur nombre est limité.
reason-not-before = Révocation générale
reason-not-before-means = Une révocation générale a mis fin aux sessions ouvertes avant elle.
reason-client-removed = Application supprimée
reason-client-removed-means = L'application à laquelle appartenait cette session a été supprimée.
console-session-title = Session de { $name }
console-login = Connexion
console-methods = Identité prouvée par
console-device-name = Nom de l'appareil
console-client-sure = (authentifiée)
console-client-claimed = (annoncée, non vérifiée)
console-client-none = Aucune application n'a été nommée
console-session-id = Identifiant de la session
console-end = Fin
console-use = Activité
console-last-ip = Dernière adresse
console-token = Dernier jeton d'accès
console-token-issued = Émis
console-token-expires = Valable jusqu'au
console-token-refreshes = Renouvellements
console-token-none = Aucun jeton n'a été remis : un navigateur tient cette session par un cookie, sur ces pages.
proof-title = Preuve
proof-start = Ouverture
proof-end = Fin
proof-record = Scellée : enregistrement n° { $count },
proof-checkpoint = { $count ->
    [one] point de contrôle de { $count } enregistrement, signé le
   *[other] point de contrôle de { $count } enregistrements, signé le
 }
proof-waiting = Pas encore couverte par un point de contrôle.
events-title = Événements
events-caption = Ce qui s'est passé dans cette session, le plus ancien d'abord
events-none = Aucun événement n'est conservé.
events-at = Date
events-what = Événement
events-by = Par
events-number = Numéro
event-session-started = Session ouverte
event-session-refreshed = Jeton renouvelé
event-session-ended = Session terminée
event-session-named = Session nommée
event-session-unknown = Session inconnue
event-session-disowned = Connexion signalée comme étrangère
event-token-refused = Jeton ou cookie refusé
event-form-refused = Formulaire refusé
event-refresh-refused = Renouvellement refusé
event-password-changed = Mot de passe changé
siblings-title = Autres sessions de cet utilisateur
siblings-caption = Autres sessions de { $name }, la plus récente d'abord
siblings-none = Aucune autre session n'est conservée.
siblings-active = Sessions ouvertes de { $name }
end-title = Mettre fin à cette session
end-text = Elle prend fin tout de suite, ici et dans toutes les applications qui l'utilisent. C'est définitif.
end-own = C'est votre propre session : vous devrez vous connecter à nouveau.
end-note = Note
end-note-rule = Facultative, 500 caractères au plus. Elle est conservée avec la session.
end-note-wrong = Cette note ne convient pas : 500 caractères au plus, sans caractères de contrôle.
end-submit = Mettre fin à la session
end-done = La session est terminée, partout.
end-was-over = La session était déjà terminée : rien n'a changé.

## Données personnelles

privacy-title = Données personnelles
privacy-what = Ce qui est enregistré
privacy-what-text = À chaque connexion, réussie ou non : la date et l'heure, l'identifiant, l'adresse du réseau, le navigateur et l'application. À chaque fin de session : la date, la raison et la personne qui l'a décidée. Pendant une session : la dernière activité et son adresse de réseau, le nom que vous lui donnez. Du compte : l'adresse électronique, les changements de mot de passe, les exports et les demandes refusées. Aucun mot de passe n'est enregistré en clair.
privacy-why = Pourquoi
privacy-why-text = Pour savoir qui a accédé au service, repérer les accès illégitimes, et permettre à chacun de surveiller son propre compte.
privacy-how-long = Combien de temps
privacy-sessions = Sessions, après leur fin
privacy-attempts = Tentatives de connexion
privacy-events = Journal des événements
privacy-addresses = Adresses de réseau complètes
privacy-who = Qui peut les lire
privacy-who-text = Vous-même, pour ce qui vous concerne ; les administrateurs et les auditeurs désignés. Chacune de leurs lectures est elle-même enregistrée.
privacy-yours = Vos droits
privacy-yours-text = Vous pouvez consulter vos sessions et vos tentatives, et télécharger vos données. Pour les autres demandes, adressez-vous à l'administrateur du service.
privacy-cookies = Cookies
privacy-cookies-text = Seuls sont utilisés les cookies nécessaires : la session, l'appareil connu, la langue et le fuseau horaire ; et pour une courte durée un lien à usage unique, ou un formulaire à reprendre après la connexion. Il n'y a pas de mesure d'audience.
privacy-cookies-gate = Un cookie de plus ouvre les sites protégés par ce service. Votre navigateur l'envoie à tous les sites de { $domain }. Il n'est valable que tant que votre session est ouverte.

## Accessibilité

accessibility-title = Déclaration d'accessibilité
accessibility-who = { $name } s'engage à rendre ses services en ligne accessibles, comme le demandent l'article 47 de la loi n° 2005-102 du 11 février 2005 et le décret n° 2019-768 du 24 juillet 2019.
accessibility-scope = Cette déclaration porte sur les pages de connexion, de compte et de console de { $address }. Les sites auxquels elles donnent accès ont chacun leur déclaration.
accessibility-scheme = Schéma pluriannuel de mise en accessibilité
accessibility-self = Ces résultats sont ceux d'une auto-évaluation du logiciel Vigie, menée avec ses réglages d'origine. Ils ne remplacent pas l'audit que l'organisme responsable fait établir pour sa propre installation.
accessibility-state = État de conformité
accessibility-total = Ces pages sont totalement conformes au référentiel général d'amélioration de l'accessibilité (RGAA), version 4.1.2.
accessibility-partial = Ces pages sont partiellement conformes au référentiel général d'amélioration de l'accessibilité (RGAA), version 4.1.2, en raison des non-conformités énumérées ci-dessous.
accessibility-none = Ces pages ne sont pas conformes au référentiel général d'amélioration de l'accessibilité (RGAA), version 4.1.2. Les non-conformités sont énumérées ci-dessous.
accessibility-result = { $percentage } % des critères applicables sont respectés : { $met } sur { $applicable }.
accessibility-themes = Résultats par thématique du RGAA, en nombre de critères
accessibility-theme = Thématique
accessibility-met = Conformes
accessibility-not-met = Non conformes
accessibility-not-applicable = Non applicables
accessibility-missing = Contenus non accessibles
accessibility-failures = Non-conformités
accessibility-none-missing = Aucune non-conformité n'est connue.
accessibility-burden = Dérogations pour charge disproportionnée
accessibility-burden-text = Aucune dérogation n'est invoquée.
accessibility-outside = Contenus qui ne sont pas évalués
accessibility-outside-text = La description de l'interface de programmation (/docs/) est une page d'un tiers, Swagger UI, pour les développeurs. Elle a des défauts connus : un bouton et un champ sans nom, des contrastes faibles, des éléments interactifs imbriqués, des cibles trop petites. Le même contenu est disponible à l'adresse /openapi.json. Les courriels ne sont pas évalués non plus.
accessibility-established = Établissement de cette déclaration
accessibility-established-on = Cette déclaration a été établie le
accessibility-technologies = Technologies utilisées
accessibility-javascript = JavaScript, dont aucune fonction ne dépend
accessibility-environment = Environnement de test
accessibility-environment-text = Chromium et Firefox ESR sous Debian : au clavier seul, sans script, à 320 et 1280 pixels de large, agrandis à 200 % et 400 %, avec un autre espacement du texte, en clair, en sombre et avec des couleurs imposées. Aucune écoute avec un lecteur d'écran n'a encore été faite.
accessibility-tools = Outils utilisés
accessibility-tools-text = axe-core, html-validate et l'arbre d'accessibilité de Chromium, à chaque modification du logiciel.
accessibility-pages = Pages évaluées
accessibility-console-session = Session de quelqu'un
accessibility-contact = Retour d'information et contact
accessibility-contact-text = Si un contenu ou un service ne vous est pas accessible, demandez une alternative accessible ou le contenu sous une autre forme :
accessibility-contact-none = adressez-vous à l'administrateur du service.
accessibility-appeal = Voies de recours
accessibility-appeal-text = Si vous avez signalé un défaut d'accessibilité qui vous empêche d'accéder à un contenu ou à un service, et que la réponse ne vous satisfait pas, vous pouvez :
accessibility-appeal-form = Écrire un message au Défenseur des droits
accessibility-appeal-delegate = Contacter le délégué du Défenseur des droits dans votre région
accessibility-appeal-letter = Envoyer un courrier par la poste, gratuitement et sans timbre :

## Erreurs

problem-not-allowed = Action refusée
problem-not-allowed-text = Vous n'avez pas le droit de faire cela, ou le formulaire ne vient pas de cette page. Revenez à la page précédente et essayez à nouveau.
problem-not-found = Page introuvable
problem-not-found-text = Il n'y a rien à cette adresse.
problem-method-not-allowed = Action impossible
problem-method-not-allowed-text = Cette adresse ne connaît pas cette action.
problem-too-many-attempts = Trop de tentatives
problem-too-many-attempts-text = Attendez quelques minutes, puis essayez à nouveau.
problem-unavailable = Service indisponible
problem-unavailable-text = Rien n'a été décidé ni changé. Essayez à nouveau dans quelques instants.
problem-malformed-request = Demande incorrecte
problem-malformed-request-text = Cette adresse ou ce formulaire est incomplet. Revenez à la page précédente.
problem-home = Revenir à l'accueil
reload-title = Un instant
reload-text = La page se recharge. Si rien ne se passe, suivez ce lien :
reload-link = Continuer
