var e=[0,"Person hinzufügen","Bisheriges Passwort","Beenden","Alle anderen beenden","Wer dort angemeldet ist, muss es neu tun.","Leer: es bleibt. Ein neues beendet die Sitzungen dieser Person.","Anmeldung","Darf","Neues Passwort","Ihr eigenes Passwort","Besitzer","Ihre Anmeldung ist älter als zehn Minuten; so steht fest, dass Sie es sind.","Passwort ändern","Ihr Passwort ist geändert, Ihre anderen Sitzungen sind beendet.","Das beendet Ihre anderen Sitzungen.","Personen","Die Sitzungen und Schlüssel dieser Person enden sofort.","Sie sind „{name}“ und dürfen {role}.","Ihre Sitzungen","Buchstaben ohne Umlaute, Ziffern und diese Zeichen: {signs}","Dieser Name ist vergeben.","diese hier","Zugang","Zuletzt benutzt","Sie","Hinzufügen","Abbrechen","Ändern","Schließen","Als CSV speichern","Auswahl aufheben","Entfernen","Speichern","Rückgängig","Bei einer Sperre","Vor einer Sperre: Ist alles bereit?","Wenn alle auf einmal freigelassen werden","Dieser Server erlaubt nicht, Aktionen zu ändern (BANGUI_ALLOW_ACTION_EDIT).","Keine Aktion heißt so.","Parameter","Was hier steht, führt root aus.","Aktionen suchen","{n} {n|Aktion ist|Aktionen sind} hier. Eine Aktion ist, was fail2ban mit einer Adresse tut.","Wenn der Jail startet","Wenn der Jail stoppt","Aktionen","Wenn jemand freikommt","Kein Jail nutzt diese Aktion.","von Hand","Änderung {n}","Zurückgenommen und bei fail2ban nachgesehen.","Noch wurde nichts geändert.","{n} {n|Änderung|Änderungen} der Konfiguration {n|ist|sind} aufbewahrt. Jede lässt sich zurücknehmen.","Aktivität","Rücknahme von Änderung {n}: {what}","{what} (zurückgenommen)","Was","Von",", nach {n} {n|Fehlversuch|Fehlversuchen}","{jail} und {n} {n|weiteren Jail|weiteren Jails}"," als „{user}“","{ip} ist in {jails} bis {time} gesperrt ({when}){why}.","{ip} ist in {jails} für immer gesperrt{why}.","Jetzt nicht gesperrt. {n}-mal gesperrt, zuletzt {when} in {jail}{by}.","Gesperrt als Teil von {network}, in {jail}.","Gesperrt als Teil von {network}, aus der Liste {list}.","Anderswo nachsehen","{n} {n|Fehlversuch|Fehlversuche}, gesperrt für {span}","Nicht gesperrt. {n} von {of} Fehlversuchen in {jail}; noch {left}, und sie ist es.","Paketfilter","Nie gesperrt: Sie steht in „{entry}“.","Nie gesperrt: Sie steht in „{entry}“, bis {time}.","Sie steht darin.","Freilassen","Freilassen und nie wieder sperren","{when} freigelassen von {who}","; freigelassen von {who}","Die Zeilen, die zur Sperre führten","Hier nie gesehen.","Keine frühere Sperre ist bekannt.","Von {who}: „{note}“","Sie steht nicht darin.","Sperren jetzt","{ip} ist frei und wird nicht wieder gesperrt.","Frühere Sperren","Nie gesperrt durch","Diese Links verraten die Adresse an Dritte.","Sie steht nicht im Paketfilter und kommt deshalb noch durch.","Woher sie kommt","Adressen oder Netze","Trotzdem sperren","So lange, wie der Jail vorgibt","{n} {n|Adresse|Adressen}","1 Tag","3 Tage","{n} {n|Adresse ist|Adressen sind} gesperrt.","Sperren","{n} Adressen sperren","Bitte noch einmal hinsehen","Eine oder viele: Listen einfügen; was hinter einem # steht, zählt nicht.","1 Stunde","Wie lange","Dauer","Kein Jail läuft.","Nicht sperren","Warum? Wer die Sperre später findet, liest es.","Andere Dauer …","{n} Adressen werden gesperrt …","Nicht alle wurden gesperrt","{n} von {of} sind gesperrt. Die übrigen blieben weg:","Adressen sperren","1 Woche","Alle freilassen","Alle Jails","Alle {n} Sperren werden sofort aufgehoben, in jedem Jail. Das lässt sich nicht rückgängig machen.","Stand: {time}","{n} {n|Sperre gilt|Sperren gelten} wieder.","{ip} ist frei.","Freilassen","{n} {n|Sperre wurde|Sperren wurden} aufgehoben.","Freilassen: {ip}","Freilassen","Gerade ist niemand gesperrt.","Keine Sperre passt zu diesen Filtern.","Jetzt gesperrt","Adressen und Notizen suchen","{n} {n|Sperre ist|Sperren sind} in Kraft.","{n} {n|Sperre passt|Sperren passen} zu diesen Filtern.","Sperren und Fehlversuche","Sperren","höchstens {n}","{label}: keine","{label}: {sum} insgesamt, höchstens {peak} um {time}","Adresse","Gesperrt","Land","Aktion","Auffällig","Fehlversuche","Filter","Jail","Netz","Notiz","Regel","Seit","Zustand","Anzahl","Bis","Wann","unbekannt","Nicht geschützt: fail2ban läuft nicht.","{jail} stattdessen das Journal lesen lassen","Das Ende seines Logs","Erledigt. Noch anderes hält fail2ban vom Start ab.","{jail} ausschalten","fail2ban beenden und neu starten","fail2ban starten","fail2ban läuft.","fail2ban wird gestartet …","Wert","Datei","Nie sperren, eine Angabe pro Zeile","Wen und wie","Kein Jail hat einen eigenen Wert.","Jails, bei denen etwas anderes gilt","Was hier steht, gilt für jeden Jail, der nichts anderes sagt.","hat","Aktionen, eine pro Zeile","Alle Werte","Wie für alle Jails.","Was sperrt (banaction)","Sperren für","Datumsmuster","Namen auflösen (usedns)","Verwerfen","Mit diesem Jail überwachen","Ausdrücke, die Fehlversuche finden, je Zeile einer","Innerhalb von","In diesem Jail nie sperren, je Zeile ein Eintrag","Adressen, Netze und Hostnamen.","Ausdrücke für Zeilen, die nicht zählen, je Zeile einer","Länger für Wiederkehrer","Was vom Journal gelesen wird","Festschreiben","Einige Werte wurden hier geändert. Beschrieben ist er in {file}.","Logdateien, je Zeile eine","Fehlversuche bis zur Sperre","Höchstens","Bitte eine ganze Zahl.","Aus {file}; alle Jails: {all}.","In fail2ban gesetzt, aber nicht festgeschrieben: {list}. Ein Neustart würde es vergessen.","Ports, die geschlossen werden","Zurücksetzen","Was er liest","Verwerfen","Änderung ansehen","Hier wurde nichts daran geändert. Beschrieben ist er in {file}.","{name} bearbeiten","Die Regel","{ip} sperren","Es sind so viele, dass die fehlen, deren letzter Fehlversuch am längsten her ist.","Vergessen","Letzter Fehlversuch","Gerade scheitert niemand.","Auf diese Filter passt niemand, der gerade scheitert.","{n} von {of}","Adressen und Benutzernamen suchen","{n} {n|Adresse scheitert|Adressen scheitern} und {n|ist|sind} noch nicht gesperrt.","Wer gerade scheitert, lässt sich nicht sagen.","Versuchte Benutzernamen","Es wird von selbst erneut versucht.","Zu sehen ist der Stand von {time}.","Diese Seite ist abgestürzt. Das ist ein Fehler des Programms.","fail2ban antwortet nicht.","Zeile {line}","Wird geladen …","Der Server antwortet nicht.","Jetzt geht es wieder.","Erneut versuchen","In {n} {n|Sekunde|Sekunden} geht es wieder.","Ausprobieren","erkannt","<HOST> oder <ADDR> steht für die Adresse.","übergangen","Logzeilen","oder das Ende einer Logdatei","{n} von {of} {of|Zeile|Zeilen} erkannt.","verfehlt","Kein Filter heißt so.","Optionen des Filters","Herkunft","Filter suchen","{n} {n|Filter ist|Filter sind} hier. Ein Filter sagt, welche Logzeilen Fehlversuche sind.","mitgeliefert","Filter und Aktionen","Erkennt er diese Zeile?","Filter","nicht benutzt","Kein Jail benutzt diesen Filter.","Benutzt von","Benutzt von {list}.","Benutzer „{name}“","durch Ausdruck {n}","Bitte eine Dauer wie 10m, 2h oder 1d; -1 heißt für immer.","Dieses Netz enthält Ihre Adresse. Sie würden diese Seite verlieren.","Das ist Ihr Gateway; alle dahinter wären abgeschnitten.","Sie steht auf der Nie-sperren-Liste („{entry}“).","Das ist dieser Rechner selbst.","Das ist keine Adresse eines einzelnen Rechners.","Das ist der Proxy vor diesem Server; eine Sperre schließt alle Besucher aus.","Dieses Netz ist sehr groß.","Das sind Sie. Sie würden diese Seite und SSH von {ip} verlieren.","{bans} {bans|Sperre|Sperren} von {n} {n|Adresse|Adressen}","Wer wiederkommt","{name} sperren","{bans} {bans|Sperre|Sperren}","Gezählt nach","Betreiber","Die Datei enthält die ersten {n} Sperren.","Aus {name}.","Wie oft","In {name}.","Zuletzt","Woher sie kamen","Niemand wurde in dieser Zeit mehr als einmal gesperrt.","Kein Betreiber kam wieder, oder keine Datenbank sagt, wem die Netze gehören.","Adressen und Logzeilen suchen","{n} {n|Sperre|Sperren} in dieser Zeit.","Sperren, und wer wiederkommt","Verlauf","Ohne den Filter {name}","Liest mit","Gesperrt seit Start","gesperrt","{name} pausiert: Niemand Neues wird gesperrt.","{name} wurde neu geladen.","{name} überwacht wieder.","{name} überwacht.","{name} ist angehalten.","Bearbeiten","{n} {n|Ausdruck|Ausdrücke}","Ausdrücke","Fehlversuche seit Start","Seine Dateien","Adresse, Netz oder Hostname","{ip} darf wieder gesperrt werden.","Niemand ist davor sicher.","{ip} entfernen","Journal","hier geändert","Logs","ja, höchstens {most}","Sperrt nie","Pausieren","pausiert","Er pausiert: Sperren bleiben, niemand Neues wird gesperrt.","pausiert bis {time}","Neu laden","Weiter","{n} in {span} → {ban}","{n} {n|Fehlversuch|Fehlversuche} innerhalb von {span}, und eine Adresse ist für {ban} gesperrt.","Starten","Anhalten","angehalten","Er läuft nicht: Nichts wird überwacht, niemand gesperrt.","Er überwacht nichts mehr, und seine {n} {n|Sperre wird|Sperren werden} aufgehoben.","{name} anhalten","Was er überwacht","überwacht","Funktioniert er?","die Vorgaben","fail2ban hat keinen Jail.","Alle neu laden","Alle Jails wurden neu geladen.","{n} von {of} {of|Jail|Jails} {n|überwacht|überwachen}.","Jails","Zeile auswählen","Adressfeld","Diese Liste","Unter Einstellungen lassen sie sich abschalten.","Zeile öffnen","Nächste und vorige Seite","Nächste und vorige Zeile","Tasten","Änderungen","Bekannte Geräte","Nie gesperrt","Sitzungen","fail2ban hat {ip}, Ihre Adresse, in {jails} gesperrt.","Mich freilassen","und nie wieder","Sie sind frei.","Sie sind frei und werden nicht wieder gesperrt.","Dieser Server ist schreibgeschützt: Hier lässt sich nichts ändern.","Liste hinzufügen","Von selbst importieren","Listen werden nur von Hand importiert.","Ändern: {name}","Täglich","Importieren","Stunden zwischen Importen","Die ersten Einträge","Stunde des Tages","Alle paar Stunden","Jetzt importieren","{n} {n|Adresse|Adressen} importiert.","Listen, die viele nutzen; jede hat ihre eigenen Bedingungen:","Letzter Import","Der letzte Import war","Eine Liste gehört dem, der sie macht: Bitte vor dem Benutzen die Bedingungen lesen.","Name","Als Nächstes:","Eine Liste hält Adressen ab, die anderswo angegriffen haben. Sie lässt sich ausprobieren, bevor sie hinzukommt.","noch nie","aus","Was nur diese Liste gebracht hat, wird sofort freigelassen.","{name} entfernen","{n} importiert, {skipped} übergangen,","{url} wird importiert.","Zeiten ändern","{n} {n|Liste wird|Listen werden} importiert.","{size}, {lines} Zeilen gelesen, bisher {n} gesperrt.","Sperrlisten","Probe","Erst ausprobieren","Die Liste wird geholt …","Was {name} bringen würde","Freilassen, was die Liste verlässt","Sonst bleibt es gesperrt, bis die Zeit um ist.","Adresse der Liste","Wöchentlich","{n} Einträge aus {lines} Zeilen würden gesperrt; {skipped} bleiben weg.","Alle Stufen","Folgen","Stufe","Keine Zeile passt.","{path}, {n} {n|Zeile|Zeilen}, die neueste zuerst","Log durchsuchen","Log","Bitte neu anmelden","Wird geprüft …","Code","Aus Ihrer Authenticator-App, oder ein Wiederherstellungscode.","Dieser Code stimmt nicht oder war schon benutzt.","Anmelden","Ihre Sitzung ist abgelaufen. Ihre Eingaben bleiben erhalten.","Passwort","30 Tage angemeldet bleiben","Das ist nicht das Passwort.","Weltkarte: Sperren kamen aus {n} {n|Land|Ländern}; die Liste daneben nennt sie.","Adresse finden","Seiten","Abmelden","Mehr","Zum Inhalt","Hinzufügen","Eintrag","jeder Jail","Für (leer: für immer)","Niemand ist vor einer Sperre sicher.","Ihre eigene Adresse, {ip}, steht nicht auf der Liste.","{n} {n|Eintrag wird|Einträge werden} nie gesperrt.","Nie sperren","gilt noch nicht","Leer: wie für alle Jails, {value}.","Was er tut","Logdateien","Ansehen","Buchstaben, Ziffern, - und _, zum Beispiel wordpress.","keiner: eigene Ausdrücke","Ein eigener","Zahlen oder Namen, zum Beispiel http,https.","Den Jail prüfen","Ein Jail liest ein Log, zählt mit einem Filter Fehlversuche und sperrt, wer zu viele hat.","Kam mit fail2ban und muss nur eingeschaltet werden","Neuer Jail","Am Log ausprobieren","Alle {n} Sperren dieser Zeit","{n} in ebenso langer Zeit davor","Nach Jail","Länder","Gezählte Fehlversuche","Was geschah","Sperren in dieser Zeit","Wachende Jails","Die letzten Sperren","Keine Sperren in dieser Zeit.","Kein Land ist bekannt.","Was seit dem letzten Besuch geschah, {when}","Übersicht","Sperren im Lauf der Zeit","Bis ich ihn weiterlaufen lasse","Andere Dauer","Er sperrt niemanden neu; bestehende Sperren bleiben.","{name} pausieren","Bis {time}","Neu nachsehen","Nachgesehen","Zur Ruhe gelegt: Es zählt nicht mehr.","Es wird nachgesehen …","Beheben","Erledigt und neu nachgesehen.","Ruhen lassen","{n} {n|Punkt ruht|Punkte ruhen}","defekt","in Ordnung","unbekannt","ansehen","Wecken","Noch einmal","Kurz sperren","Beweisen","Eine Adresse, die niemand hat, wird kurz gesperrt, im Paketfilter gesucht und wieder freigelassen. Davon bleibt nichts in Listen oder Verlauf.","Hält {name} draußen, wen er sperrt?","24 Std.","Von","Zeitraum","30 Tage","Letzte Nacht","jetzt","Andere","Zeigen","Bis (leer: jetzt)","7 Tage","Ohne diesen Zeitraum","1 Jahr","Anwenden","Wird angewendet …","Zurück","Erledigt und bei fail2ban nachgesehen.","Die Änderung gilt","Ändert {n} {n|Datei|Dateien}.","nein","Kein Jail wird neu gestartet; Sperren behalten ihr Ende.","nichts","Nichts wurde geändert.","Was getan wurde","Neu gestartet, Sperren bleiben erhalten: {list}.","Alles ist wie zuvor, bei fail2ban nachgesehen.","Zurückgenommen","Es gilt sofort und wird dann in {file} geschrieben.","ja","alles tun","ansehen, sperren, freilassen und pausieren","ansehen","Befehle ändern, die root ausführt","Sperren und freilassen","Konfiguration lesen und ändern","Jails starten, stoppen und pausieren","Werte für eine Überwachung","Ansehen: Listen und Zahlen","Über","Die Beschreibung der API","Wie das Gerät","dieses Geräts","Vom","fail2ban","Dunkel","Anzeige","Datenbank","Tasten mit einem Buchstaben","Sprache","Lizenzen dessen, was drin ist","Hell","Karte: world-atlas, ISC, © Mike Bostock, aus Natural Earth (gemeinfrei).","Es gibt keine Länderdatenbank; niemand weiß, woher Sperren kommen. So wird eine freie geholt:","Sperren vergessen nach","fail2ban vergisst Sperren, bevor manche von ihnen enden.","Dateien neu laden","Die Dateien wurden neu geladen.","fail2ban neu starten","Für einige Sekunden wird nichts überwacht, und keine Sperre gilt.","fail2ban {version} läuft.","Gespeichert.","des Servers ({zone})","Loggt nach","Farben","Zeiten","Einstellungen","Sie kommen von","Code aus dem Einrichtungslink","Läuft fail2ban?","Die beiden sind nicht gleich.","Fertig","Ohne weitermachen","Das ist dieser Rechner selbst; er wird nie gesperrt.","Das ganze lokale Netz, {network}","Mich nie aussperren","Von der Einrichtung","{ip} nie sperren","Ein Passwort wählen","Ein Satz ab 14 Zeichen; oder 8 mit Großbuchstabe, Ziffer und einem von !@#$%^&*().","Es öffnet hier alles.","Wir sehen Ihren Proxy, nicht Sie; setzen Sie zuerst trusted_proxies.","Noch einmal dasselbe","Ja, {version}, {n} {n|Jail|Jails}.","Überspringen","Schritt {n} von {of}","Jemand war schneller","Inzwischen wurde ein Passwort gesetzt. Waren Sie das nicht, setzen Sie am Rechner ein neues:","Sie kommen von {ip}.","Weiter","Alle Zeilen auswählen","Zurück","Auf dieser Seite steht nichts.","{n} ausgewählt","Zur ersten Seite","{name} auswählen","Blättern","{from} bis {to} von {total}","Kanal hinzufügen","Nächster Versuch","Dieser Rechner ist nicht mehr geschützt","Eine Adresse wird gesperrt","Chat (seine Nummer)","Die Konfiguration von fail2ban wird geändert","Nur Adressen aus diesen Ländern","fail2ban läuft nicht","fail2ban läuft wieder","Einmal am Tag: was an dem Tag war","E-Mail","Über diesen Kanal benachrichtigen","Gemeldet wird","Absender","Mailserver","Eine Sperrliste lässt sich nicht importieren","Aufgegeben.","Gesendet","Wartet.","Nur Sperren dieser Jails, eines je Zeile","Gespeichert. Es bleibt, solange dieses Feld leer ist.","Was gemeldet wurde","Jemand meldet sich hier an","Jemand probiert hier Passwörter","Noch wurde nichts gemeldet.","Niemand wird benachrichtigt. Mit einem Kanal erfahren Sie, wenn fail2ban stehen bleibt oder eine Sperre nicht wirkt.","Dieser Rechner ist wieder geschützt","Port","Er ist in meinem eigenen Netz","Erlaubt für diesen Kanal auch Adressen, die nicht öffentlich sind, und jeden Port.","Was noch zu senden war, geht mit ihm verloren.","Geheimnis","Unterschreibt, was gesendet wird: so weiß der Empfänger, von wem es ist.","Geschützt durch","Es ist angekommen.","{n} {n|Kanal meldet|Kanäle melden}, was geschieht.","Test senden","Benachrichtigungen","An, eine Adresse je Zeile","Zugangstoken","Adresse (URL)","Konto (leer für keines)","Über","für immer","gerade eben","gleich","Schlüssel anlegen","Nur von diesen Adressen oder Netzen, eines je Zeile","Kopiert.","Kopieren","von {list}","Ich habe ihn","Er wird als Header gesendet:","Nur für diese Jails, eines je Zeile","Der Schlüssel für {name}","Er wird nur dieses eine Mal gezeigt. Kopieren Sie ihn dorthin, wo er gebraucht wird.","Ein Schlüssel (Token) lässt ein Programm herein: ein Widget, eine Überwachung, ein Skript. Noch gibt es keinen.","für {list}","Programme, die ihn benutzen, werden sofort abgewiesen.","Erneuern","Er bekommt einen anderen Text. Programme mit dem bisherigen werden sofort abgewiesen.","{name} erneuern","Schlüssel","Schlüssel für Programme","Gültig bis Ende des (leer: für immer)"];var n=`
* would be banned in * for a moment. Nothing was done yet. | $1 würde in $2 kurz gesperrt. Noch ist nichts geschehen.
* works: what it bans is kept out. | $1 wirkt: Was er sperrt, bleibt draußen.
* would run for *. | Für $2 würde $1 laufen.
* ran for *. | Für $2 lief $1.
A ban runs nothing else here. | Eine Sperre führt hier sonst nichts aus.
A real ban runs * as well* | Eine echte Sperre führt auch $1 aus (Mails, Meldungen, andere Rechner). Das bleibt weg; niemand erfährt von dieser.
* has no action, so nothing that it bans is kept out. | $1 hat keine Aktion; was er sperrt, wird nicht abgehalten.
Give it an action (banaction). | Ihm eine Aktion geben (banaction).
* bans by *, which is not this machine's* | $1 sperrt mit $2, nicht über den Paketfilter dieses Rechners; beweisen lässt sich das von hier nicht. Nichts wurde ausgeführt.
* could not ban: its action failed. | $1 konnte nicht sperren: Die Aktion ist gescheitert.
fail2ban's own log says which command* | Welcher Befehl warum gescheitert ist, steht im Log von fail2ban. Das beheben, dann den Jail neu starten.
* was banned for a moment. | $1 war kurz gesperrt.
* was banned, but no rule of the packet filter* | $1 war gesperrt, aber keine Regel des Paketfilters hält die Adresse ab.
The action bans elsewhere than in what* | Die Aktion sperrt nicht dort, wo die Pakete durchkommen: Läuft fail2ban in einem Container? Nutzt seine Aktion den Paketfilter dieses Rechners (nftables oder iptables)?
It was found in *. | Gefunden in: $1.
Whether every packet comes to that rule* | Ob jedes Paket zu dieser Regel kommt, hängt von Bedingungen ab, die sich von hier nicht beurteilen lassen.
A rule before the jail's own may let* | Eine Regel davor lässt womöglich Pakete durch; das lässt sich von hier nicht beurteilen.
Packets to * come to the jail's rule,* | Pakete an $1 kommen zur Regel des Jails, und keine davor lässt sie durch.
The ban of * could not be lifted. | Die Sperre von $1 ließ sich nicht aufheben.
Restart the jail, which makes its rules* | Den Jail neu starten; dann entstehen seine Regeln neu. Niemand hat diese Adresse, es schadet also keinem.
* was lifted, but still stands in *. | Die Sperre von $1 ist aufgehoben, steht aber noch in $2.
What lifts a ban in this action (actionunban)* | Was in dieser Aktion eine Sperre aufhebt (actionunban), passt nicht zu dem, was sie setzt. Das beheben, dann den Jail neu starten.
The ban was lifted, and no list,* | Die Sperre ist aufgehoben; sie steht in keiner Liste, keiner Zählung, keinem Verlauf.
Made with it, and kept for the next ban: *. | Dafür angelegt und für die nächste Sperre behalten: $1.
Packets to * do not pass the jail's rule: a container* | Pakete an $1 kommen nicht zur Regel des Jails: Ein Container gibt diesen Port frei, und sie gehen an ihn weiter.
Inside, it is port *. Packets for containers* | Innen ist es Port $1. Pakete für Container laufen durch die Ketten FORWARD und DOCKER-USER, nicht durch INPUT.
Give the jail the chain DOCKER-USER* | Dem Jail die Kette DOCKER-USER geben (chain = DOCKER-USER) und den Port, den die Pakete innen haben, oder alle Ports.
Packets to * are let through by a rule before the jail's own. | Pakete an $1 lässt schon eine Regel vor der des Jails durch.
Put fail2ban's rule before the rule that* | Die Regel von fail2ban vor diese stellen: den Jail nach der Firewall neu starten, oder die andere Regel entfernen.
Packets to * do not come to the jail's rule. | Pakete an $1 kommen nicht zur Regel des Jails.
It is about *. | Sie gilt für $1.
Set the port of the jail to the one that* | Den Port des Jails auf den setzen, an dem der Dienst lauscht, dann den Jail neu starten.
The packet filter cannot be read from here, so nothing was tried. | Der Paketfilter lässt sich von hier nicht lesen; deshalb wurde nichts versucht.
fail2ban's log level is *, and failures* | Das Log-Level von fail2ban ist $1, Fehlversuche stehen erst ab INFO im Log: log_level auf INFO setzen.
fail2ban's log cannot be read: * | Das Log von fail2ban lässt sich nicht lesen: $1
fail2ban writes its log to *, where* | fail2ban schreibt sein Log nach $1, wo es nicht zu lesen ist: log_target auf eine Datei setzen.
fail2ban answers. | fail2ban antwortet.
fail2ban is busy and did not answer in time. | fail2ban ist beschäftigt und hat nicht rechtzeitig geantwortet.
Look again in a minute. | In einer Minute noch einmal nachsehen.
fail2ban may not be asked by this program. | Dieses Programm darf fail2ban nicht fragen.
Run bangui as the user that fail2ban runs* | bangui als der Benutzer starten, unter dem fail2ban läuft; das ist meist root.
fail2ban is not running. | fail2ban läuft nicht.
Start it; if it does not stay, mend what is said here first. | fail2ban starten; bleibt es nicht, zuerst beheben, was hier steht.
fail2ban runs, but no jail does: it watches nothing. | fail2ban läuft, aber kein Jail: Nichts wird überwacht.
Enable a jail for each service that can be reached. | Für jeden erreichbaren Dienst einen Jail einschalten.
There are jails. | Es gibt Jails.
The packet filter can be read (*). | Der Paketfilter lässt sich lesen ($1).
The packet filter cannot be read from here,* | Der Paketfilter lässt sich von hier nicht lesen; ob die Sperren darin stehen, bleibt offen.
Run bangui as root on the machine itself, or put this to rest. | bangui als root auf dem Rechner selbst starten, oder diesen Punkt ruhen lassen.
fail2ban's own log can be read. | Das Log von fail2ban lässt sich lesen.
fail2ban's own log cannot be read from* | Das Log von fail2ban lässt sich von hier nicht lesen; ob jemand trotz Sperre durchkommt, bleibt offen.
Have fail2ban log to a file below an allowed* | fail2ban in eine Datei unter einem erlaubten Verzeichnis loggen lassen, oder diesen Punkt ruhen lassen.
* is enabled in the files, but it does not run. | $1 ist in den Dateien eingeschaltet, läuft aber nicht.
Mend what is wrong with it, then start it. | Beheben, was daran falsch ist, dann starten.
Start it. | Starten.
* has no action: it notes who is banned, and keeps nobody out. | $1 hat keine Aktion: Er merkt sich, wer gesperrt ist, und hält niemanden ab.
Load the jail again; if that does not help,* | Den Jail neu laden; hilft das nicht, ihm eine Aktion geben (banaction).
* should run *, but fail2ban has not loaded it. | $1 soll $2 ausführen, aber fail2ban hat das nicht geladen.
Loaded: *. | Geladen: $1.
Load the jail again. | Den Jail neu laden.
Its actions are loaded: *. | Seine Aktionen sind geladen: $1.
* does not ban by this machine's packet* | $1 sperrt nicht über den Paketfilter dieses Rechners; ob seine Sperren wirken, lässt sich von hier nicht sehen.
It runs *. | Er führt $1 aus.
Nobody is banned, so there is nothing to* | Niemand ist gesperrt, also ist im Paketfilter nichts zu suchen.
The packet filter keeps out the * of * that were looked for. | Der Paketfilter hält ab, wonach gesucht wurde: $1 von $2.
The packet filter keeps out the * that were looked for. | Der Paketfilter hält ab, wonach gesucht wurde: $1.
The packet filter keeps out none of the * of *. | Der Paketfilter hält niemanden ab: $1 von $2 fehlen darin.
* are banned by *, but not in the packet filter. | $1: von $2 gesperrt, aber nicht im Paketfilter.
* is banned by *, but not in the packet filter. | $1: von $2 gesperrt, aber nicht im Paketfilter.
Stop the jail and start it again: its bans* | Den Jail anhalten und wieder starten: Die Sperren bleiben, ihre Regeln entstehen neu. Wurde eine Firewall neu geladen, soll sie danach fail2ban starten.
* of * are missing: *. | $1 von $2 fehlen: $3.
No packet comes to the rules of *, so* | Kein Paket kommt zu den Regeln von $1; seine Sperren halten niemanden ab.
The bans of * are in a set that no rule uses,* | Die Sperren von $1 stehen in einem Set, das keine Regel nutzt; sie halten niemanden ab.
The packet filter keeps out no IPv6 address that * has banned. | Der Paketfilter hält keine IPv6-Adresse ab, die $1 gesperrt hat.
If its action is for IPv4 only,* | Gilt die Aktion nur für IPv4, ihm eine für beide geben, etwa nftables; sonst den Jail anhalten und wieder starten.
* not banned, but the rules of * still keep* | Die Regeln von $2 halten noch jemanden ab, der nicht gesperrt ist.
Followed: *. | Verfolgt: $1.
* is in *. | $1 steht in $2.
No banned address has failed again within the last day. | Keine gesperrte Adresse ist am letzten Tag wieder aufgefallen.
* is banned and still gets through. | $1 ist gesperrt und kommt trotzdem durch.
* and * are banned and still get through. | $1 und $2 sind gesperrt und kommen trotzdem durch.
fail2ban saw * fail again * ago, more than a minute after its ban (*). | fail2ban sah $1 mehr als eine Minute nach der Sperre wieder scheitern ($3); das ist $2 her.
The ban does not reach these packets: look* | Die Sperre erreicht diese Pakete nicht: Ist der Port des Jails der des Dienstes? Gibt Docker den Dienst frei (Kette DOCKER-USER), oder steht er hinter einem Proxy? Danach den Jail neu starten.
* is paused: it bans nobody until it is resumed. | $1 pausiert: Er sperrt niemanden, bis er weiterläuft.
Resume it. | Weiterlaufen lassen.
* runs. The files do not enable it, so* | $1 läuft. Die Dateien schalten ihn nicht ein: Nach einem Neustart ist er weg.
* runs. | $1 läuft.
* has no log to watch, so it will never ban anybody. | $1 hat kein Log und wird nie jemanden sperren.
Give it a log file (logpath), or have it* | Ihm eine Logdatei geben (logpath), oder ihn das Journal lesen lassen (backend = systemd).
* watches *, but there is no such file. | $1 überwacht $2, aber diese Datei gibt es nicht.
* was written to last. | Zuletzt wurde $1 geschrieben.
Find out where the service writes its log* | Herausfinden, wohin der Dienst jetzt loggt, und das als Logpfad des Jails setzen.
*, the log of *, cannot be read. | $1, das Log von $2, lässt sich nicht lesen.
Let the user that fail2ban runs as read it. | Dem Benutzer, unter dem fail2ban läuft, das Lesen erlauben.
The log of * cannot be looked at from here:* | Das Log von $1 ist von hier nicht zu sehen: fail2ban läuft in einem eigenen Container.
* can be read. | $1 lässt sich lesen.
* reads the systemd journal, but this machine keeps none. | $1 liest das Journal von systemd, aber dieser Rechner führt keines.
Start systemd-journald, or give the jail* | systemd-journald starten, oder dem Jail eine Logdatei geben (logpath und backend = auto).
The journal that * reads cannot be looked at from here. | Das Journal, das $1 liest, ist von hier nicht zu sehen.
* watches *, but its service writes to * now. | $1 überwacht $2, aber der Dienst schreibt jetzt nach $3.
Set that file as the log path of the jail,* | Diese Datei als Logpfad des Jails setzen, oder den Dienst sein Log neu öffnen lassen (postrotate in logrotate).
The last line is from * ago. | Die letzte Zeile ist $1 alt.
* has seen no new log line for *. | $1 wartet schon $2 auf eine neue Logzeile.
If the service is in use, look whether* | Ist der Dienst in Gebrauch, nachsehen, ob er noch in diese Datei schreibt; sonst diesen Punkt ruhen lassen.
The journal holds no recent line for *. | Das Journal hat keine neue Zeile für $1.
Look whether the service has another name* | Nachsehen, ob der Dienst anders heißt, als journalmatch des Jails sagt.
The journal holds * for it. | Das Journal hat $1 dafür.
The filter of * could not be tried on its log. | Der Filter von $1 ließ sich nicht am Log ausprobieren.
There is no line yet to try the filter on. | Noch gibt es keine Zeile, an der sich der Filter ausprobieren ließe.
The filter of * misses what it should find: * of the last * look like failed logins, and it takes none of them for one. | Der Filter von $1 verfehlt, was er finden soll: In den letzten $3 sehen $2 nach einem Fehlversuch aus, und er erkennt keine davon.
Try the filter on such a line, and mend* | Den Filter an einer solchen Zeile ausprobieren und anpassen; vielleicht ist der Dienst neuer als der Filter.
None of the last * is a failure, and none looks like one. | In den letzten $1 ist kein Fehlversuch, und nichts sieht danach aus.
* of the last * is a failure. | Fehlversuche in den letzten $2: $1.
* of the last * are a failure. | Fehlversuche in den letzten $2: $1.
fail2ban cannot read the dates in the log of *, so it does not know when something happened. | fail2ban kann die Zeiten im Log von $1 nicht lesen und weiß nicht, wann etwas geschah.
Set the datepattern of the jail to the form of these dates. | Das Datumsmuster (datepattern) des Jails diesen Zeiten anpassen.
Set logtimezone of the jail to the zone* | logtimezone des Jails auf die Zeitzone des Logs setzen, etwa UTC+0000.
Compare the clock of the service with that of this machine. | Die Uhr des Dienstes mit der dieses Rechners vergleichen.
The dates in the log of * are *, so its failures do not count. | Die Zeiten im Log von $1 liegen $2; seine Fehlversuche zählen deshalb nicht.
* of * failures. | $1 von $2 Fehlversuchen.
The dates of its log are understood. | Die Zeiten seines Logs werden verstanden.
* works, as far as was looked at. | $1 funktioniert, soweit nachgesehen wurde.
fail2ban cannot be reached at *: there is no such socket; * | fail2ban ist unter $1 nicht zu erreichen: Es gibt diesen Socket nicht. fail2ban starten, oder den richtigen Socket nennen.
The whole configuration was read * | Die ganze Konfiguration wurde gelesen, als stünde die Änderung schon darin, und ist richtig.
Written: *. | Geschrieben: $1.
fail2ban has loaded jail *. | fail2ban hat den Jail $1 geladen.
fail2ban has loaded * jails: *. | fail2ban hat $1 Jails geladen: $2.
fail2ban was told; no jail had to be loaded. | fail2ban wurde es gesagt; kein Jail musste geladen werden.
What fail2ban has in force was read back * | Was in fail2ban gilt, wurde zurückgelesen und ist, was die Dateien sagen.
Nothing was loaded. | Nichts wurde geladen.
Jail * would be restarted, and its bans kept: *. | Der Jail $1 würde neu gestartet; seine Sperren bleiben ($2).
Jail * would be stopped, and its bans lifted. | Der Jail $1 würde angehalten, seine Sperren aufgehoben.
fail2ban is not reached: the files would be written, and nothing loaded. | fail2ban ist nicht zu erreichen: Die Dateien würden geschrieben, nichts geladen.
Edited outside of bangui. * | Außerhalb von bangui bearbeitet. Was fail2ban davon geladen hat, ist nicht bekannt; „Alle neu laden“ lädt die Dateien.
Protected, with 1 thing to look at. | Geschützt; einen Punkt sollte man ansehen.
Protected, with * things to look at. | Geschützt; $1 Punkte sollte man ansehen.
Probably protected. * jail is watching. | Wahrscheinlich geschützt. $1 Jail wacht.
Probably protected. * jails are watching. | Wahrscheinlich geschützt. $1 Jails wachen.
Protected. * of * watching. | Geschützt. $1 von $2 wachen.
Protected. * of * watching, and their bans* | Geschützt. $1 von $2 wachen, und ihre Sperren stehen im Paketfilter.
Protected. * of * watching, and nobody is banned. | Geschützt. $1 von $2 wachen, und niemand ist gesperrt.
Not protected: * and *. | Nicht geschützt: $1 und $2.
Not protected: *. | Nicht geschützt: $1.
Not protected: | Nicht geschützt:
`,i=`
* seconds | $1 Sekunden
* second | $1 Sekunde
* minutes | $1 Minuten
* hours | $1 Stunden
* days | $1 Tage
* lines | $1 Zeilen
* line | $1 Zeile
* recent lines | $1 neue Zeilen
* recent line | $1 neue Zeile
* banned addresses | $1 gesperrte Adressen
* banned address | $1 gesperrte Adresse
* jails are | $1 Jails
* jail is | $1 Jail
* other jails | $1 weitere Jails
* other jail | $1 weiterer Jail
* others | $1 weitere
* other | $1 weitere
* more | $1 weitere
any port | einen beliebigen Port
port * | Port $1
ports * | die Ports $1
the systemd journal | das Journal von systemd
The systemd journal | Das Journal von systemd
in another time zone than this machine's | in einer anderen Zeitzone als dieser Rechner
ahead of this machine's clock | vor der Uhr dieses Rechners
* and * | $1 und $2
`;export{e as messages,n as sentences,i as words};
